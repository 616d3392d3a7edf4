#!/usr/bin/env python3
# Makes docs/reference/ from the comments of the public headers: a Markdown page a header, a page each for every layer,
# loss, metric, optimizer, schedule, callback, activation, initializer, regularizer and constraint, and an index.
# Rests on the habits of the headers: a file opens with a comment, "/* ---- title ---- */" begins a section, and what
# stands in "/** ... */" or "/**< ... */" belongs to the declaration beside it; names come from the .def lists. The headers
# are the manual; these pages are only another view of them, so they are not kept in the repository.
# reference.py --check writes nothing, and fails where a declaration has no comment or a name no page.
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "reference"
HEADERS = sorted((ROOT / "include" / "soma").glob("*.h"))

TOKEN = re.compile(
    r"(?P<section>/\* ---- .*?\*/)"
    r"|(?P<doc>/\*\*(?!<).*?\*/)"
    r"|(?P<plain>^/\*.*?\*/)"
    r"|(?P<directive>^[ \t]*#(?:[^\n\\]|\\.)*(?:\\\n(?:[^\n\\]|\\.)*)*)"
    r"|(?P<braces>^(?:typedef )?(?:struct|enum|union)[^;{\n]*\{[^\n]*\}[^;\n]*;[ \t]*(?:/\*[^\n]*?\*/)?$"
    r"|^typedef (?:struct|enum|union)[^;{]*\{.*?^\}[^;]*;|^(?:struct|enum|union)[^;{]*\{.*?^\};)"
    r"|(?P<declaration>^[A-Za-z_][^;{}#]*;[ \t]*(?:/\*\*<.*?\*/|/\*[^*].*?\*/)?)",
    re.S | re.M,
)

# list file, its macro, folder, and the names that a header may have for an entry x, or for the function f of the line
KINDS = [
    ("nn/layers.def", "LAYER", "layers", 
     ["soma_{x}", "soma_{x}_layer", "soma_{x}_options", "soma_{x}_layer_options", "soma_{x}_layer_create"]),
    ("nn/activations.def", "ACTIVATION", "activations", ["{f}", "soma_{x}"]),
    ("nn/initializers.def", "INITIALIZER", "initializers",
     ["soma_{x}", "soma_all_{x}", "soma_{without_random}"]),
    ("nn/regularizers.def", "REGULARIZER", "regularizers", ["soma_{x}"]),
    ("nn/constraints.def", "CONSTRAINT", "constraints", ["soma_{x}"]),
    ("nn/losses.def", "LOSS", "losses", ["{f}", "soma_{x}"]),
    ("nn/metrics.def", r"METRIC(?:_WITH)?", "metrics",
     ["{f}", "soma_{x}", "soma_{x}_metric", "soma_{without_score}_metric"]),
    ("nn/optimizers.def", "OPTIMIZER", "optimizers", ["soma_{x}_options", "soma_{x}"]),
    ("nn/schedules.def", "SCHEDULE", "schedules", ["soma_{x}"]),
    ("train/callbacks.def", "CALLBACK", "callbacks", ["soma_{x}", "soma_{x}_options"]),
]
# What an option of files needs beside its header's words: names and defaults of the numbers, from these lists.
NUMBERED = {"losses": "nn/losses_with.def"}


def words(comment):
    """The text of a comment without its stars."""
    inner = re.sub(r"^/\*+<?|\*+/$", "", comment.strip())
    return "\n".join(re.sub(r"^\s*\* {0,2}", "", line).rstrip() for line in inner.splitlines()).strip()


def blocks(header):
    """Sections and items of a header: ("section", title), ("item", comment or None, declarations)."""
    text = header.read_text(encoding="utf-8")
    opening = re.match(r"/\*.*?\*/", text, re.S)
    text = text[opening.end():] if opening else text
    text = re.sub(r'#ifdef __cplusplus\n(extern "C" \{|\})\n#endif\n', "", text)
    guard = re.search(r"#ifndef (\w+_H)\b", text)
    out, pending, declarations = [], None, []

    def flush():
        nonlocal pending, declarations
        if declarations:
            out.append(("item", pending, declarations))
        pending, declarations = None, []

    for match in TOKEN.finditer(text):
        piece = match[0].strip()
        if match["section"]:
            flush()
            title, _, more = words(piece).removeprefix("---- ").partition(" ----")
            out.append(("section", title.strip(), more.strip()))
        elif match["doc"]:
            flush()
            pending = words(piece)
        elif match["plain"]:
            flush()  # what the comment before it says ends here
        elif match["directive"]:
            if piece.startswith("#define") and not (guard and guard[1] in piece) and (pending or declarations):
                declarations.append(piece)
        else:
            if match["braces"] and any("(" in d and "{" not in d and not d.startswith("#") for d in declarations):
                flush()  # behind the functions of one thing the options of the next begin
            declarations.append(re.sub(r"\bSOMA_(API|MUST_CHECK) ", "", piece))
            if pending is None and match["braces"]:
                flush()
    flush()
    return out


def opening_of(header):
    return words(re.match(r"/\*.*?\*/", header.read_text(encoding="utf-8"), re.S)[0])


def page(header):
    out = [f"# `<soma/{header.name}>`", "", opening_of(header), ""]
    for block in blocks(header):
        if block[0] == "section":
            out.extend(["## " + block[1].capitalize(), ""])
            if block[2]:
                out.extend([block[2], ""])
        else:
            out.extend(["```c", *block[2], "```", ""])
            if block[1]:
                out.extend([block[1], ""])
    return "\n".join(out)


# ---- a page for each name ----

def items():
    """(header, comment, declarations, heading and text that they stand under) of all headers."""
    for header in HEADERS:
        section = None
        for block in blocks(header):
            if block[0] == "section":
                section = block[1:]
            else:
                yield header, block[1], block[2], section


ITEMS = list(items())


def words_for_numbers():
    """{"average": ["macro", "none", ...]}: the words that files take for a number, the default's first."""
    text = (ROOT / "src" / "nn" / "field_numbers.c").read_text(encoding="utf-8")
    found = {}
    for key, word, owner in re.findall(r'\{"(\w+)", "(\w+)", \w+, (NULL|"\w*")\}', text):
        found.setdefault((key, owner.strip('"')), []).append(word)
    if not found:
        sys.exit("no words for numbers in src/nn/field_numbers.c: has the table moved?")
    return found


WORDS = words_for_numbers()


def declares(declaration, name):
    """Whether this declares the name itself: a function, a macro, a struct of options."""
    return re.search(rf"(#define {name}\(|\b{name}\s*\(|\bstruct {name} \{{|\}} {name};)", declaration) is not None


def find(names):
    """Comment, declarations and header for the first of the names that has a comment."""
    for name in names:
        for header, comment, declarations, section in ITEMS:
            mine = [d for d in declarations if declares(d, name)]
            if not mine:
                continue
            beside = re.search(r"/\*\*<(.*?)\*/", mine[0], re.S)
            several = len([d for d in declarations if not d.startswith("#")]) > 2
            if beside and several:
                return re.sub(r"\s*\n\s*\*?\s*", " ", beside[1].strip()), mine, header, section
            if comment or beside:
                text = comment or re.sub(r"\s*\n\s*\*?\s*", " ", beside[1].strip())
                others = [d for d in declarations if d in mine or "/**<" not in d]  # which have a text of their own
                return text, mine if several else others, header, section
    return None


def lines_of(path, macro):
    text = re.sub(r"/\*.*?\*/", " ", (ROOT / "src" / path).read_text(encoding="utf-8"), flags=re.S)
    return re.findall(rf"^{macro}\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", text, re.M)


def numbers_of(line):
    """The numbers of a line of a list, as {name: default}: LIST of names, then LIST of defaults."""
    lists = re.findall(r"LIST\((.*?)\)", line.replace("(double)NAN", "NONE"), re.S)
    if len(lists) < 2 or lists[0].strip() == "NULL":
        return {}
    names = re.findall(r'"(\w+)"', lists[0])
    return dict(zip(names, [value.strip() for value in lists[1].split(",")]))


def entries(path, macro):
    """Names of a list, with the function of the line and its numbers; other names of one function come along."""
    found = {}
    for line in lines_of(path, macro):
        parts = [part.strip() for part in line.split(",")]
        name, function = parts[0].strip('"'), parts[1] if len(parts) > 1 else ""
        same = next((k for k, v in found.items() if v[0] == function != "NULL" and v[3] == macro and '"' in parts[0]), None)
        if same and path.startswith("nn/") and "METRIC_WITH" not in line and found[same][1] == numbers_of(line):
            found[same][2].append(name)
        else:
            found[name] = (function, numbers_of(line), [], macro)
    return found


def name_pages():
    """(folder, name, text) for everything that has a name; text None where no comment was found."""
    for path, macro, folder, patterns in KINDS:
        extra = {}
        if folder in NUMBERED:
            extra = {name: value[1] for name, value in entries(NUMBERED[folder], macro).items()}
        for name, (function, numbers, others, _) in entries(path, macro).items():
            given = {"x": name, "f": function or "-", "without_random": name.replace("random_", ""),
                     "without_score": name.replace("_score", "").replace("fbeta", "f_beta")}
            item = find([pattern.format(**given) for pattern in patterns])
            if not item:
                yield folder, name, None
                continue
            comment, declarations, header, section = item
            out = [f"# {name}", "", f"One of the [{folder}](README.md), of [`<soma/{header.name}>`](../{header.stem}.md)."]
            if others:
                out.append("Also: " + ", ".join(f"`{other}`" for other in others) + ".")
            declarations = whole(name, header, declarations)
            out += ["", comment, "", "```c", *(re.sub(r"[ \t]*/\*\*<.*?\*/", "", d, flags=re.S) for d in declarations), "```", ""]
            if section and (":" in section[0] or section[1]):  # what holds for all of them: shapes, what comes out
                out += [section[0][0].upper() + section[0][1:] + ".", *([section[1]] if section[1] else []), ""]
            for macro in shared_options(header, declarations):
                out += ["```c", macro, "```", ""]
            table = {**numbers, **extra.get(name, {})}
            if table:
                out += ["In files:", "", "| number | default |", "|---|---|"]
                for key, value in table.items():
                    allowed = WORDS.get((key, name)) or WORDS.get((key, "NULL"))
                    if allowed:
                        value = f"{allowed[0]} (or {', '.join(allowed[1:])})"
                    out.append(f"| `{key}` | {'none' if value in ('NONE', '-1') and key != 'axis' else value} |")
                out.append("")
            yield folder, name, "\n".join(out)


def whole(name, header, declarations):
    """With the options and the maker of that name, where they stand elsewhere in the header."""
    more = []
    for there, _, others, _ in ITEMS:
        if there == header:
            options = "|".join(re.findall(r"\bsoma_\w+_options\b", "\n".join(declarations))) or f"soma_{name}_options"
            patterns = (rf"struct (?:{options}) \{{", rf"#define soma_{name}\(", rf"\bsoma_{name}_create\s*\(")
            more += [d for d in others if d not in declarations and any(re.search(p, d) for p in patterns)]
    return more + declarations


def shared_options(header, declarations):
    """The macros of options that stand in these declarations, and those in them."""
    found, wanted = {}, re.findall(r"\bSOMA_[A-Z_]+_OPTIONS\b", "\n".join(declarations))
    while wanted:
        macro = wanted.pop(0)
        for there in HEADERS:
            text = there.read_text(encoding="utf-8")
            body = re.search(rf"^#define {macro} *\\\n(?:.*\\\n)*.*\n", text, re.M)
            if body and macro not in found:
                found[macro] = re.sub(r"[ \t]*\\$", "", body[0].rstrip(), flags=re.M)
                wanted += re.findall(r"\bSOMA_[A-Z_]+_OPTIONS\b", body[0].partition("\n")[2])
    return list(found.values())


# ---- what has no comment ----

def undocumented():
    """Declarations of functions that neither follow a comment without a blank line between, nor have one beside them."""
    for header in HEADERS:
        covered, lines = False, header.read_text(encoding="utf-8").splitlines()
        i = 0
        while i < len(lines):
            line, first = lines[i], i
            if line.startswith("/*"):
                covered = "----" not in line
                while "*/" not in lines[i]:
                    i += 1
            elif not line.strip():
                covered = False
            elif line.startswith("SOMA_API"):
                while ";" not in lines[i]:
                    i += 1
                if not covered and "/*" not in lines[i] + (lines[i + 1] if lines[i + 1].startswith(" ") else ""):
                    yield f"{header.relative_to(ROOT)}:{first + 1}: no comment says what it is: {line}"
            i += 1


pages = list(name_pages())
complaints = [f"{folder}: {name} has no comment in a public header" for folder, name, text in pages if text is None]
complaints += undocumented()
if "--check" in sys.argv[1:]:
    print("\n".join(complaints + [f"{len(pages)} names, {len(HEADERS)} headers, {len(complaints)} complaints"]))
    sys.exit(1 if complaints or len(pages) < 150 else 0)

index = ["# Reference", ""]
TARGET.mkdir(parents=True, exist_ok=True)
for header in HEADERS:
    (TARGET / f"{header.stem}.md").write_text(page(header), encoding="utf-8")
    index.append(f"- [`<soma/{header.name}>`]({header.stem}.md): {opening_of(header).splitlines()[0]}")
index += ["", "By name:", ""]
for _, _, folder, _ in KINDS:
    (TARGET / folder).mkdir(exist_ok=True)
    mine = [(name, text) for where, name, text in pages if where == folder and text]
    for name, text in mine:
        (TARGET / folder / f"{name}.md").write_text(text, encoding="utf-8")
    lines = [f"# {folder.capitalize()}", ""] + [f"- [{name}]({name}.md)" for name, _ in mine]
    (TARGET / folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    index.append(f"- [{folder}]({folder}/README.md): {len(mine)}")
(TARGET / "README.md").write_text("\n".join(index) + "\n", encoding="utf-8")
print(f"{len(HEADERS)} headers and {sum(text is not None for _, _, text in pages)} names in {TARGET.relative_to(ROOT)}/")
