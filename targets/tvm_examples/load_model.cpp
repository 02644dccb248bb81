// Runs model.so once on zeros, without Python. Build it beside model.so:
//   TVM=$(python -c "import tvm, pathlib; print(pathlib.Path(tvm.__file__).parent)")
//   FFI=$(python -c "import tvm_ffi, pathlib; print(pathlib.Path(tvm_ffi.__file__).parent)")
//   g++ -std=c++17 -O2 load_model.cpp -o load_model -I$TVM/include -I$FFI/include \
//     -L$TVM/lib -L$FFI/lib -ltvm_runtime -ltvm_ffi -Wl,-rpath,$TVM/lib:$FFI/lib
//   TVM_NUM_THREADS=2 ./load_model ./model.so 1 3 24 94      # the shape of the input, float32
// Without TVM_NUM_THREADS, TVM takes half of the CPUs that the system shows.
#include <dlpack/dlpack.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

#include <cstdlib>
#include <iostream>
#include <vector>

namespace ffi = tvm::ffi;

namespace {

// Memory for a tensor: what an application would point at its own frames.
struct Zeros {
  void AllocData(DLTensor* tensor) {
    tensor->data = std::calloc(ffi::GetDataSize(*tensor), 1);
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: load_model model.so SIZE...\n";
    return 2;
  }
  std::vector<int64_t> shape;
  for (int i = 2; i < argc; ++i) shape.push_back(std::atoll(argv[i]));

  ffi::Module library = ffi::Module::LoadFromFile(argv[1]);
  ffi::Module machine =
      library->GetFunction("vm_load_executable").value()().cast<ffi::Module>();
  constexpr int kPooled = 2;  // the virtual machine's pooled allocator
  machine->GetFunction("vm_initialization").value()(static_cast<int>(kDLCPU), 0, kPooled,
                                                    static_cast<int>(kDLCPU), 0, kPooled);
  ffi::Tensor input = ffi::Tensor::FromNDAlloc(Zeros(), ffi::Shape(shape),
                                               DLDataType{kDLFloat, 32, 1}, DLDevice{kDLCPU, 0});
  ffi::Tensor output = machine->GetFunction("main").value()(input).cast<ffi::Tensor>();

  std::cout << "output:";
  for (int64_t size : output.shape()) std::cout << ' ' << size;
  std::cout << "\nfirst value: " << static_cast<const float*>(output.data_ptr())[0] << '\n';
  return 0;
}
