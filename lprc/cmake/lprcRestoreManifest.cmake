# cmake -DCOPY=… -DMANIFEST=… -P: put an artefact's manifest back that a build tool has removed.
get_filename_component(folder "${MANIFEST}" DIRECTORY)
if(EXISTS "${folder}" AND NOT EXISTS "${MANIFEST}" AND EXISTS "${COPY}")
  configure_file("${COPY}" "${MANIFEST}" COPYONLY)
endif()
