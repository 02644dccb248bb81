// As much of JSON as deployment.json needs: values, and what is wrong with a text that is none.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

class Json {
 public:
  // Throws std::runtime_error for what is no JSON, or nested deeper than 64.
  static Json parse(const std::string& text);

  // The value of a key; throws std::runtime_error where this is no object with that key.
  const Json& at(const std::string& key) const;
  bool has(const std::string& key) const { return members_.count(key) != 0; }

  // Throw std::runtime_error where this is something else.
  double number() const;
  const std::string& text() const;
  const std::vector<Json>& list() const;

 private:
  friend class JsonParser;
  enum class Kind { kNull, kBool, kNumber, kText, kList, kObject };

  Kind kind_ = Kind::kNull;
  double number_ = 0;  // 1 for true
  std::string text_;   // UTF-8
  std::vector<Json> list_;
  std::map<std::string, Json> members_;
};
