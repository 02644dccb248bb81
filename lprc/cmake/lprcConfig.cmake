# find_package(lprc): the program of the Python environment that this file lies in, as
# LPRC_EXECUTABLE, and the functions lprc_compile() and lprc_embed(). docs/cmake.md
#
#   cmake -S . -B build -Dlprc_DIR="$(lprc --cmake-dir)"

if(CMAKE_VERSION VERSION_LESS 3.20)
  set(lprc_FOUND FALSE)
  set(lprc_NOT_FOUND_MESSAGE "lprc needs CMake 3.20, for dependency files with Makefiles.")
  return()
endif()

# <environment>/lib/python3.x/site-packages/lprc/cmake, on Windows <environment>/Lib/…; an editable
# installation lies elsewhere, and is looked for on the PATH.
if(NOT LPRC_EXECUTABLE)
  find_program(
    LPRC_EXECUTABLE lprc
    HINTS "${CMAKE_CURRENT_LIST_DIR}/../../../../../bin"
          "${CMAKE_CURRENT_LIST_DIR}/../../../../Scripts"
          ENV VIRTUAL_ENV
    PATH_SUFFIXES bin Scripts
    DOC "The lprc program")
endif()
if(NOT LPRC_EXECUTABLE)
  set(lprc_FOUND FALSE)
  set(lprc_NOT_FOUND_MESSAGE "There is no program lprc on the PATH; set LPRC_EXECUTABLE.")
  return()
endif()

# Another environment's lprc would not be what these files were written for. Asked once for each
# program, because Python takes a moment to start.
if(NOT _LPRC_CHECKED STREQUAL "${LPRC_EXECUTABLE};${CMAKE_CURRENT_LIST_DIR}")
  execute_process(
    COMMAND "${LPRC_EXECUTABLE}" --cmake-dir
    OUTPUT_VARIABLE _lprc_folder
    ERROR_VARIABLE _lprc_error
    RESULT_VARIABLE _lprc_result
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(REAL_PATH "${CMAKE_CURRENT_LIST_DIR}" _lprc_here)
  if(_lprc_result EQUAL 0)
    file(REAL_PATH "${_lprc_folder}" _lprc_there)
  endif()
  if(NOT _lprc_result EQUAL 0 OR NOT _lprc_here STREQUAL _lprc_there)
    set(lprc_FOUND FALSE)
    set(lprc_NOT_FOUND_MESSAGE
        "${LPRC_EXECUTABLE} is not the lprc of ${CMAKE_CURRENT_LIST_DIR} but of\
 '${_lprc_folder}${_lprc_error}'; set LPRC_EXECUTABLE.")
    return()
  endif()
  set(_LPRC_CHECKED "${LPRC_EXECUTABLE};${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "")
endif()

include("${CMAKE_CURRENT_LIST_DIR}/lprcFunctions.cmake")
set(lprc_FOUND TRUE)
