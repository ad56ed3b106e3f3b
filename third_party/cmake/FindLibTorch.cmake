# LibTorch from an unpacked PyPI wheel (or any prefix with include/ and lib/).
#
# LibTorch_PREFIX (cache variable, or the environment variable of the same name) names the `torch` folder.
# Defines LibTorch::torch: libtorch_cpu and libc10; and, where it is there, LibTorch::c10_cuda, which the CUDA plug-in
# links (the rest of LibTorch's CUDA part is loaded at run time). The wheel's own TorchConfig.cmake is not used, because it demands
# a CUDA toolkit even from programs that use none.
set(_deps "$ENV{BWCACHE_DEPS}")
if(NOT _deps)
  set(_deps "$ENV{HOME}/.cache/bwcache-gen")
endif()
find_path(LibTorch_PREFIX NAMES include/ATen/ATen.h
  HINTS "$ENV{LibTorch_PREFIX}" "${_deps}/libtorch-2.11.0/torch"
  NO_DEFAULT_PATH DOC "Folder of LibTorch that holds include/ and lib/")

find_library(LibTorch_CPU_LIBRARY torch_cpu HINTS "${LibTorch_PREFIX}/lib" NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 HINTS "${LibTorch_PREFIX}/lib" NO_DEFAULT_PATH)
# The OpenMP runtime that libtorch_cpu itself uses: a second one in a process would bring a second pool of threads.
find_library(LibTorch_OPENMP_LIBRARY NAMES libgomp.so.1 HINTS "${LibTorch_PREFIX}/lib" NO_DEFAULT_PATH)
mark_as_advanced(LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_OPENMP_LIBRARY)

if(LibTorch_PREFIX AND EXISTS "${LibTorch_PREFIX}/version.py")
  file(STRINGS "${LibTorch_PREFIX}/version.py" _line REGEX "^__version__")
  string(REGEX REPLACE ".*'([0-9.]+).*" "\\1" LibTorch_VERSION "${_line}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_PREFIX LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_OPENMP_LIBRARY
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run third_party/setup, or pass -DLibTorch_PREFIX=<folder with include/ATen/ATen.h>")

if(LibTorch_FOUND AND NOT TARGET LibTorch::torch)
  add_library(LibTorch::torch INTERFACE IMPORTED)
  # -idirafter: torch carries its own fmt/, which must not shadow the system's.
  # NDEBUG: without it classes of torch's headers (RecordFunction) have members that the library's lack.
  target_compile_definitions(LibTorch::torch INTERFACE $<$<CONFIG:Debug>:NDEBUG>)
  # -fopenmp: without it at::parallel_for, a template in a header, compiles to a plain loop.
  target_compile_options(LibTorch::torch INTERFACE
    -fopenmp
    "SHELL:-idirafter ${LibTorch_PREFIX}/include"
    "SHELL:-idirafter ${LibTorch_PREFIX}/include/torch/csrc/api/include")
  target_link_libraries(LibTorch::torch INTERFACE "${LibTorch_CPU_LIBRARY}" "${LibTorch_C10_LIBRARY}"
    "${LibTorch_OPENMP_LIBRARY}")
  target_link_options(LibTorch::torch INTERFACE
    -Wl,--as-needed "-Wl,-rpath,${LibTorch_PREFIX}/lib" "-Wl,-rpath-link,${LibTorch_PREFIX}/lib"
    # libtorch_cpu needs CUPTI and the CUDA runtime; it finds them through its own run path.
    "-Wl,-rpath-link,${LibTorch_PREFIX}/../nvidia/cu13/lib")
endif()

if(LibTorch_FOUND AND NOT TARGET LibTorch::c10_cuda)
  find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda HINTS "${LibTorch_PREFIX}/lib" NO_DEFAULT_PATH)
  mark_as_advanced(LibTorch_C10_CUDA_LIBRARY)
  if(LibTorch_C10_CUDA_LIBRARY)
    add_library(LibTorch::c10_cuda SHARED IMPORTED)
    set_target_properties(LibTorch::c10_cuda PROPERTIES IMPORTED_LOCATION "${LibTorch_C10_CUDA_LIBRARY}")
  endif()
endif()
