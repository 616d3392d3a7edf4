#!/usr/bin/env python3
# Makes docs/reference/: one Markdown page a public header, from the comments in it, and an index.
# Rests on the habits of the headers: a file opens with a comment, "/* ---- title ---- */" begins a section, and what
# stands in "/** ... */" or "/**< ... */" belongs to the declaration beside it. The headers are the manual; these pages
# are only another view of them, so they are not kept in the repository.
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference"

TOKEN = re.compile(
    r"(?P<section>/\* ---- .*? ---- \*/)"
    r"|(?P<doc>/\*\*(?!<).*?\*/)"
    r"|(?P<directive>^[ \t]*#(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*)"
    r"|(?P<braces>^typedef (?:struct|enum|union)[^;{]*\{.*?^\}[^;]*;|^(?:struct|enum|union)[^;{]*\{.*?^\};)"
    r"|(?P<declaration>^[A-Za-z_][^;{}#]*;[ \t]*(?:/\*\*<.*?\*/|/\*[^*].*?\*/)?)",
    re.S | re.M,
)


def words(comment):
    """The text of a comment without its stars."""
    inner = re.sub(r"^/\*+<?|\*+/$", "", comment.strip())
    return "\n".join(re.sub(r"^\s*\* {0,2}", "", line).rstrip() for line in inner.splitlines()).strip()


def page(header):
    text = header.read_text(encoding="utf-8")
    opening = re.match(r"/\*.*?\*/", text, re.S)
    out = [f"# `<soma/{header.name}>`", "", words(opening[0]) if opening else "", ""]
    text = text[opening.end():] if opening else text
    text = re.sub(r'#ifdef __cplusplus\n(extern "C" \{|\})\n#endif\n', "", text)
    guard = re.search(r"#ifndef (\w+_H)\b", text)
    pending, declarations = None, []

    def flush():
        nonlocal pending, declarations
        if declarations:
            out.extend(["```c", *declarations, "```", ""])
            if pending:
                out.extend([pending, ""])
        pending, declarations = None, []

    for match in TOKEN.finditer(text):
        piece = match[0].strip()
        if match["section"]:
            flush()
            out.extend(["## " + piece[7:-7].strip().capitalize(), ""])
        elif match["doc"]:
            flush()
            pending = words(piece)
        elif match["directive"]:
            if pending and piece.startswith("#define") and not (guard and guard[1] in piece):
                declarations.append(piece)
                flush()
        else:
            declarations.append(re.sub(r"\bSOMA_(API|MUST_CHECK) ", "", piece))
            if pending is None and match["braces"]:
                flush()
    flush()
    return "\n".join(out)


TARGET.mkdir(parents=True, exist_ok=True)
index = ["# Reference", ""]
for header in sorted((ROOT / "include" / "soma").glob("*.h")):
    (TARGET / f"{header.stem}.md").write_text(page(header), encoding="utf-8")
    first = words(re.match(r"/\*.*?\*/", header.read_text(encoding="utf-8"), re.S)[0]).splitlines()[0]
    index.append(f"- [`<soma/{header.name}>`]({header.stem}.md): {first}")
(TARGET / "README.md").write_text("\n".join(index) + "\n", encoding="utf-8")
print(f"{len(index) - 2} pages in {TARGET.relative_to(ROOT)}/")
