# The version is the Python package's, read from it. Compatible are those of the same major version,
# and before 1.0 those of the same minor version.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../_version.py" PACKAGE_VERSION REGEX "^__version__ = ")
string(REGEX REPLACE "^__version__ = \"([0-9.]+).*" "\\1" PACKAGE_VERSION "${PACKAGE_VERSION}")

set(PACKAGE_VERSION_EXACT FALSE)
set(PACKAGE_VERSION_COMPATIBLE FALSE)
if(NOT PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)
  string(REGEX MATCH "^(0\\.)?[0-9]+" _lprc_series "${PACKAGE_VERSION}")
  string(REGEX MATCH "^(0\\.)?[0-9]+" _lprc_asked "${PACKAGE_FIND_VERSION}")
  if(PACKAGE_FIND_VERSION STREQUAL "" OR _lprc_series STREQUAL _lprc_asked)
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
  unset(_lprc_series)
  unset(_lprc_asked)
endif()
