# The compiler flags of everything in this repository, as one interface target, soma_flags.
# No -march=native and no -ffast-math: one build runs on every machine, and NaN stays NaN.

add_library(soma_flags INTERFACE)
target_compile_options(soma_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla
    $<$<BOOL:${SOMA_WERROR}>:-Werror>
    -fno-math-errno)
target_compile_definitions(soma_flags INTERFACE _DEFAULT_SOURCE=)

if(SOMA_SANITIZE)
    add_compile_options(-fsanitize=${SOMA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${SOMA_SANITIZE})
endif()
if(SOMA_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "SOMA_FUZZ needs clang: configure with -DCMAKE_C_COMPILER=clang")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=address,undefined)
endif()
