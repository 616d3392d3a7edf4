# The sources of src/cpu (reference/ apart) in SOMA_CPU_SOURCES, each level's with the flags of kernels.def.
# Rests on kernels.def alone, so that a new level is one line there and one source.
# Source properties hold in the directory that includes this, where the target that compiles them must be.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(soma_cpu_processor x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
    set(soma_cpu_processor arm)
else()
    set(soma_cpu_processor other)
endif()

# The kernels' loops are as long as they should be: clang would unroll them once more, to a quarter more library.
set(soma_cpu_loops "")
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    set(soma_cpu_loops "-fno-unroll-loops")
endif()

set(SOMA_CPU_SOURCES ${CMAKE_CURRENT_LIST_DIR}/isa.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/kernels.def)
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/kernels.def soma_cpu_lines REGEX "^CPU_LEVEL\\(${soma_cpu_processor},")
foreach(line IN LISTS soma_cpu_lines)
    string(REGEX MATCH "^CPU_LEVEL\\([a-z0-9]+, ([a-z0-9]+), \"(.*)\"\\)" matched "${line}")
    set(source ${CMAKE_CURRENT_LIST_DIR}/isa_${CMAKE_MATCH_1}.c)
    list(APPEND SOMA_CPU_SOURCES ${source})
    # The same optimization in every build type: the kernels say themselves what is a vector and what is unrolled, and
    # -O3 would write all other loops in several ways as well, to a fifth more code that is no faster. What is fused to
    # fma is written in the source, whatever the compiler.
    set_source_files_properties(${source} PROPERTIES COMPILE_FLAGS
        "-O2 ${soma_cpu_loops} -ffp-contract=off -fno-math-errno -fno-trapping-math ${CMAKE_MATCH_2}")
endforeach()
