// Runs model.pt once on zeros, without Python. CMakeLists.txt beside it says how to build it.
#include <torch/script.h>

#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: load_model model.pt SIZE...\n";
    return 2;
  }
  std::vector<int64_t> shape;
  for (int i = 2; i < argc; ++i) shape.push_back(std::atoll(argv[i]));

  c10::InferenceMode inference;
  torch::jit::Module model = torch::jit::load(argv[1]);
  auto results = model.forward({torch::zeros(shape)}).toTuple();
  at::Tensor output = results->elements()[0].toTensor().contiguous();

  std::cout << "output:";
  for (int64_t size : output.sizes()) std::cout << ' ' << size;
  std::cout << "\nfirst value: " << output.data_ptr<float>()[0] << '\n';
  return 0;
}
