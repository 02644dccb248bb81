// Runs model.pt2 once on zeros, without Python. CMakeLists.txt beside it says how to build it.
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/torch.h>

#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: load_model model.pt2 SIZE...\n";
    return 2;
  }
  std::vector<int64_t> shape;
  for (int i = 2; i < argc; ++i) shape.push_back(std::atoll(argv[i]));

  c10::InferenceMode inference;
  torch::inductor::AOTIModelPackageLoader model(argv[1]);
  at::Tensor output = model.run({torch::zeros(shape)})[0].contiguous();

  std::cout << "output:";
  for (int64_t size : output.sizes()) std::cout << ' ' << size;
  std::cout << "\nfirst value: " << output.data_ptr<float>()[0] << '\n';
  return 0;
}
