# lprc_compile() and lprc_embed(). docs/cmake.md

# The policies of this file, whatever the project's: paths in dependency files (CMP0116), and
# quoted arguments of if() (CMP0054).
cmake_policy(PUSH)
cmake_policy(VERSION 3.20...3.31)

set(_LPRC_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

# lprc_compile(TARGET <target of lprc> MODEL <file> OUTPUT <folder>
#              [NAME <CMake target>] [CALIBRATION <folder>] [DATA <folder>] [TASK <name or file>]
#              [PASSES <text>] [THEN <text>] [OPTIONS <key=value>...] [ARGUMENTS <argument>...]
#              [EMBED object|array|resource] [SYMBOL <identifier>] [EXCLUDE_FROM_ALL])
function(lprc_compile)
  cmake_parse_arguments(
    PARSE_ARGV 0 arg "EXCLUDE_FROM_ALL"
    "TARGET;MODEL;OUTPUT;NAME;CALIBRATION;DATA;TASK;PLATES;PASSES;THEN;EMBED;SYMBOL"
    "OPTIONS;ARGUMENTS")
  _lprc_check_arguments(lprc_compile TARGET MODEL OUTPUT)
  if(DEFINED arg_SYMBOL AND NOT DEFINED arg_EMBED)
    message(FATAL_ERROR "lprc_compile: SYMBOL without EMBED names nothing")
  endif()

  get_filename_component(model "${arg_MODEL}" ABSOLUTE)
  get_filename_component(output "${arg_OUTPUT}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")
  if(NOT DEFINED arg_NAME)
    get_filename_component(arg_NAME "${output}" NAME)
  endif()
  set(manifest "${output}/manifest.json")
  set(beside "${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/lprc/${arg_NAME}")

  set(command compile "${model}" --target "${arg_TARGET}" -o "${output}" -q)
  _lprc_append_folder(command --calib "${arg_CALIBRATION}")
  _lprc_append_folder(command --data "${arg_DATA}")
  if(DEFINED arg_PLATES AND NOT DEFINED arg_TASK)  # its name in the first release
    set(arg_TASK "${arg_PLATES}")
  endif()
  if(DEFINED arg_TASK)
    set(task "${arg_TASK}")
    if(task MATCHES "\\.toml$")
      get_filename_component(task "${task}" ABSOLUTE)
    endif()
    list(APPEND command --task "${task}")
  endif()
  if(DEFINED arg_PASSES)
    list(APPEND command --passes "${arg_PASSES}")
  endif()
  if(DEFINED arg_THEN)
    list(APPEND command --then "${arg_THEN}")
  endif()
  foreach(option IN LISTS arg_OPTIONS)
    list(APPEND command -O "${option}")
  endforeach()
  list(APPEND command ${arg_ARGUMENTS})

  # Makefiles don't run a command again because it has changed; this file's time makes them.
  file(GENERATE OUTPUT "${beside}.command" CONTENT "${LPRC_EXECUTABLE};${command}\n")
  # Ninja removes the manifest when it is interrupted, and without it lprc would not take the
  # folder for its own; so a copy is put back.
  add_custom_command(
    OUTPUT "${manifest}"
    COMMAND
      "${CMAKE_COMMAND}" "-DCOPY=${beside}.manifest" "-DMANIFEST=${manifest}" -P
      "${_LPRC_CMAKE_DIR}/lprcRestoreManifest.cmake"
    COMMAND "${LPRC_EXECUTABLE}" ${command} --depfile "${beside}.d"
    COMMAND "${CMAKE_COMMAND}" -E copy "${manifest}" "${beside}.manifest"
    DEPENDS "${model}" "${beside}.command" "${_LPRC_CMAKE_DIR}/../_version.py"
    DEPFILE "${beside}.d"
    COMMENT "Compiling ${arg_NAME} for ${arg_TARGET}"
    VERBATIM)
  # The other files' names depend on the target; what `clean` leaves would be in lprc's way.
  set_property(DIRECTORY APPEND PROPERTY ADDITIONAL_CLEAN_FILES "${output}")

  set(all ALL)
  if(arg_EXCLUDE_FROM_ALL)
    set(all)
  endif()
  add_custom_target("${arg_NAME}" ${all} DEPENDS "${manifest}")
  set_target_properties("${arg_NAME}" PROPERTIES LPRC_OUTPUT "${output}")

  if(DEFINED arg_EMBED)
    if(NOT DEFINED arg_SYMBOL)
      string(MAKE_C_IDENTIFIER "${arg_NAME}" arg_SYMBOL)
    endif()
    lprc_embed("${arg_NAME}_embedded" ARTEFACT "${output}" FORM "${arg_EMBED}" SYMBOL
               "${arg_SYMBOL}")
    add_dependencies("${arg_NAME}_embedded" "${arg_NAME}")
  endif()
endfunction()

# lprc_embed(<library> ARTEFACT <folder of lprc_compile> FORM object|array|resource
#            [SYMBOL <identifier>])
function(lprc_embed library)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "ARTEFACT;FORM;SYMBOL" "")
  _lprc_check_arguments(lprc_embed ARTEFACT FORM)
  set(forms object array resource)
  if(NOT arg_FORM IN_LIST forms)
    message(FATAL_ERROR "lprc_embed: '${arg_FORM}' is not one of object, array, resource")
  endif()
  if(NOT DEFINED arg_SYMBOL)
    string(MAKE_C_IDENTIFIER "${library}" arg_SYMBOL)
  endif()
  if(arg_FORM STREQUAL "object" AND MSVC)
    message(FATAL_ERROR "lprc_embed: MSVC has no .incbin; use FORM resource, or array")
  elseif(arg_FORM STREQUAL "resource" AND NOT WIN32)
    message(FATAL_ERROR "lprc_embed: resources are for Windows; use FORM object, or array")
  endif()

  get_filename_component(artefact "${arg_ARTEFACT}" ABSOLUTE BASE_DIR
                         "${CMAKE_CURRENT_BINARY_DIR}")
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${library}")
  set(source "${folder}/${arg_SYMBOL}.c")
  set(written "${source}" "${folder}/${arg_SYMBOL}.h")
  set(bytes)
  if(arg_FORM STREQUAL "object")
    set(bytes "${folder}/${arg_SYMBOL}.S")
  elseif(arg_FORM STREQUAL "resource")
    set(bytes "${folder}/${arg_SYMBOL}.rc")
  endif()

  file(MAKE_DIRECTORY "${folder}")
  add_custom_command(
    OUTPUT ${written} ${bytes}
    COMMAND "${LPRC_EXECUTABLE}" embed "${artefact}" -o "${source}" --as "${arg_FORM}" --symbol
            "${arg_SYMBOL}" -q
    DEPENDS "${artefact}/manifest.json" "${_LPRC_CMAKE_DIR}/../_version.py"
    COMMENT "Embedding ${artefact}"
    VERBATIM)

  # The linker would not take a resource out of a static library.
  set(kind STATIC)
  if(arg_FORM STREQUAL "resource")
    set(kind OBJECT)
  endif()
  add_library("${library}" ${kind} ${written} ${bytes})
  target_include_directories("${library}" PUBLIC "${folder}")
  set_target_properties("${library}" PROPERTIES POSITION_INDEPENDENT_CODE ON)

  # The sources are C and C++, whichever the project has. The assembler file goes by the same
  # compiler, because a function can't enable a language; -x says what it is.
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  set(language CXX)
  if("C" IN_LIST languages)
    set(language C)
  endif()
  set_source_files_properties("${source}" PROPERTIES LANGUAGE "${language}")
  if(arg_FORM STREQUAL "object")
    set_source_files_properties("${bytes}" PROPERTIES LANGUAGE "${language}" COMPILE_OPTIONS
                                                      "-x;assembler-with-cpp")
  endif()
  if(bytes)
    set_source_files_properties("${bytes}" PROPERTIES OBJECT_DEPENDS "${artefact}/manifest.json")
  endif()
endfunction()

macro(_lprc_check_arguments function)
  if(DEFINED arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${function}: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  # Lists may be empty, because projects compute them.
  set(missing ${arg_KEYWORDS_MISSING_VALUES})
  list(REMOVE_ITEM missing OPTIONS ARGUMENTS)
  if(missing)
    message(FATAL_ERROR "${function}: no value for: ${missing}")
  endif()
  foreach(name ${ARGN})
    if(NOT DEFINED arg_${name})
      message(FATAL_ERROR "${function}: ${name} is missing")
    endif()
  endforeach()
endmacro()

# The underscores keep the parameters apart from the caller's variables.
function(_lprc_append_folder _list _option _folder)
  if(NOT _folder STREQUAL "")
    get_filename_component(_path "${_folder}" ABSOLUTE)
    set(${_list} ${${_list}} "${_option}" "${_path}" PARENT_SCOPE)
  endif()
endfunction()

cmake_policy(POP)
