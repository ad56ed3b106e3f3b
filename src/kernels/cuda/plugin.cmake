# The host half of the kernels, which tests run without a device; and libbwcache_cuda.so, which the program loads for
# --device cuda. Nothing of the program links the latter.
add_library(bw_cuda_launch STATIC "${CMAKE_CURRENT_LIST_DIR}/launch.cc")
target_link_libraries(bw_cuda_launch PUBLIC bw_options)

if(BW_HAVE_CUDA)
  # Apart from the rest, since nvcc takes neither torch's headers nor g++'s options.
  add_library(bw_cuda_kernels OBJECT "${CMAKE_CURRENT_LIST_DIR}/kernels.cu")
  target_include_directories(bw_cuda_kernels PRIVATE "${CMAKE_SOURCE_DIR}/src")
  target_compile_options(bw_cuda_kernels PRIVATE -Werror=all-warnings -Xcompiler=-Wall,-Wextra,-fvisibility=hidden)
  set_target_properties(bw_cuda_kernels PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON
    CUDA_RUNTIME_LIBRARY Shared POSITION_INDEPENDENT_CODE ON)

  set(kernels "${CMAKE_CURRENT_SOURCE_DIR}/kernels")
  add_library(bwcache_cuda SHARED
    "${CMAKE_CURRENT_LIST_DIR}/torch_operators.cc" "${CMAKE_CURRENT_LIST_DIR}/launch.cc"
    "${kernels}/simd_tensor.cc" "${kernels}/activation_ref.cc" "${kernels}/gated_add_ref.cc"
    "${kernels}/norm_modulate_ref.cc" "${kernels}/qk_norm_rope_ref.cc"
    $<TARGET_OBJECTS:bw_cuda_kernels>)
  string(REGEX MATCHALL "[0-9]+" lowest "${CMAKE_CUDA_ARCHITECTURES}")
  list(SORT lowest COMPARE NATURAL)
  list(GET lowest 0 lowest)
  target_compile_definitions(bwcache_cuda PRIVATE BW_CUDA_LOWEST_ARCHITECTURE=${lowest})
  target_include_directories(bwcache_cuda SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(bwcache_cuda PRIVATE bw_options LibTorch::torch LibTorch::c10_cuda CUDA::cudart)
  target_link_options(bwcache_cuda PRIVATE -Wl,--no-undefined)
  set_target_properties(bwcache_cuda PROPERTIES LINKER_LANGUAGE CXX CXX_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
endif()
