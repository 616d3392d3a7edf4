# Optional libraries. A feature X that needs one has two files side by side: X_<suffix>.c, which uses the library, and
# X_stub.c, which says what to install. The one that is compiled is chosen here, so that no source has an #ifdef.
# A new optional library is one line in this table: suffix | pkg-config module | Debian package.
set(SOMA_OPTIONAL_TABLE
    "zlib|zlib|zlib1g-dev"
    "png|libpng|libpng-dev"
    "jansson|jansson|libjansson-dev"
    "yaml|yaml-0.1|libyaml-dev"
    "cairo|cairo|libcairo2-dev"
)

find_package(PkgConfig QUIET)
set(SOMA_SUFFIXES)
set(SOMA_FOUND)
set(SOMA_ABSENT)
foreach(row ${SOMA_OPTIONAL_TABLE})
    string(REPLACE "|" ";" row "${row}")
    list(GET row 0 suffix)
    list(GET row 1 module)
    list(GET row 2 package)
    list(APPEND SOMA_SUFFIXES ${suffix})
    if(SOMA_OPTIONAL AND PKG_CONFIG_FOUND)
        pkg_check_modules(SOMA_${suffix} QUIET IMPORTED_TARGET ${module})
    endif()
    if(SOMA_OPTIONAL AND SOMA_${suffix}_FOUND)
        list(APPEND SOMA_FOUND ${suffix})
    else()
        list(APPEND SOMA_ABSENT "${suffix} (${package})")
    endif()
endforeach()

# Drops from the list of sources what the installed libraries make impossible or needless, and names in `libraries` the
# targets that the rest must link.
function(soma_choose_sources sources libraries)
    set(chosen)
    set(linked)
    set(served) # features that a library provides: their stubs are not needed
    foreach(source ${${sources}})
        set(keep TRUE)
        foreach(suffix ${SOMA_SUFFIXES})
            if(source MATCHES "^(.*)_(lib)?${suffix}\\.c$")
                if(suffix IN_LIST SOMA_FOUND)
                    list(APPEND served ${CMAKE_MATCH_1}_stub.c)
                    list(APPEND linked PkgConfig::SOMA_${suffix})
                else()
                    set(keep FALSE)
                endif()
            endif()
        endforeach()
        if(keep)
            list(APPEND chosen ${source})
        endif()
    endforeach()
    if(served)
        list(REMOVE_ITEM chosen ${served})
    endif()
    list(REMOVE_DUPLICATES linked)
    set(${sources} ${chosen} PARENT_SCOPE)
    set(${libraries} ${linked} PARENT_SCOPE)
endfunction()

function(soma_optional_summary)
    string(REPLACE ";" ", " found "${SOMA_FOUND}")
    string(REPLACE ";" ", " absent "${SOMA_ABSENT}")
    message(STATUS "Optional libraries used: ${found}")
    if(SOMA_ABSENT)
        message(STATUS "Optional libraries left out: ${absent}")
    endif()
endfunction()
