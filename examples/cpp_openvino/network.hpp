// An artefact in OpenVINO: pictures in, texts or boxes out.
#pragma once

#include "deployment.hpp"
#include "picture.hpp"

#include <openvino/openvino.hpp>

#include <memory>
#include <string>
#include <vector>

// A box in pixels of a picture.
struct Found {
  float left, top, right, bottom;
  float score;
  std::size_t label;
};

class Network {
 public:
  Network(ov::Core& core, const std::shared_ptr<ov::Model>& model, Deployment deployment);

  // The artefact in a folder.
  static Network open(ov::Core& core, const std::string& folder);

  const Deployment& deployment() const { return deployment_; }

  // The text in a picture of a plate. Throws std::runtime_error where the output is none.
  std::string read(const Picture& picture);

  // What is found in a picture, the best first. The graph must have suppressed what overlaps:
  // `lprc compile --embed postprocessing`. Throws std::runtime_error where the output is something
  // else.
  std::vector<Found> find(const Picture& picture);

 private:
  ov::Tensor run(const Picture& picture);

  Deployment deployment_;
  ov::InferRequest request_;
};
