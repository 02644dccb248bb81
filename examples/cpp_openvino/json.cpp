#include "json.hpp"

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace {

constexpr int kDeepest = 64;

void append_utf8(std::string& text, unsigned long code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | (code >> 12));
    text += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (code >> 18));
    text += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    text += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace

class JsonParser {
 public:
  explicit JsonParser(const std::string& text) : text_(text) {}

  Json document() {
    Json value = parse_value(0);
    skip_blanks();
    if (place_ != text_.size()) fail("something behind the document");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("no JSON: " + what + " at byte " + std::to_string(place_));
  }

  void skip_blanks() {
    while (place_ < text_.size() && std::strchr(" \t\r\n", text_[place_]) != nullptr) ++place_;
  }

  char peek() {
    skip_blanks();
    if (place_ == text_.size()) fail("the end");
    return text_[place_];
  }

  void expect(char sign) {
    if (peek() != sign) fail(std::string("no '") + sign + "'");
    ++place_;
  }

  bool take(char sign) {
    if (peek() != sign) return false;
    ++place_;
    return true;
  }

  Json parse_value(int depth) {
    if (depth > kDeepest) fail("nested too deeply");
    Json value;
    const char first = peek();
    if (first == '{') {
      parse_object(value, depth);
    } else if (first == '[') {
      parse_list(value, depth);
    } else if (first == '"') {
      value.kind_ = Json::Kind::kText;
      value.text_ = parse_text();
    } else if (first == '-' || std::isdigit(static_cast<unsigned char>(first))) {
      parse_number(value);
    } else {
      parse_word(value);
    }
    return value;
  }

  void parse_object(Json& value, int depth) {
    value.kind_ = Json::Kind::kObject;
    expect('{');
    if (take('}')) return;
    do {
      if (peek() != '"') fail("no key");
      const std::string key = parse_text();
      expect(':');
      value.members_[key] = parse_value(depth + 1);
    } while (take(','));
    expect('}');
  }

  void parse_list(Json& value, int depth) {
    value.kind_ = Json::Kind::kList;
    expect('[');
    if (take(']')) return;
    do {
      value.list_.push_back(parse_value(depth + 1));
    } while (take(','));
    expect(']');
  }

  void parse_number(Json& value) {
    char* end = nullptr;
    value.kind_ = Json::Kind::kNumber;
    value.number_ = std::strtod(text_.c_str() + place_, &end);
    if (end == text_.c_str() + place_) fail("no number");
    place_ = static_cast<std::size_t>(end - text_.c_str());
  }

  void parse_word(Json& value) {
    const struct {
      const char* word;
      Json::Kind kind;
      double number;
    } words[] = {{"true", Json::Kind::kBool, 1},
                 {"false", Json::Kind::kBool, 0},
                 {"null", Json::Kind::kNull, 0}};
    for (const auto& item : words) {
      if (text_.compare(place_, std::strlen(item.word), item.word) != 0) continue;
      place_ += std::strlen(item.word);
      value.kind_ = item.kind;
      value.number_ = item.number;
      return;
    }
    fail("no value");
  }

  std::string parse_text() {
    std::string text;
    ++place_;  // the quote
    while (place_ < text_.size() && text_[place_] != '"') {
      const char sign = text_[place_++];
      if (sign == '\\') {
        parse_escape(text);
      } else {
        text += sign;
      }
    }
    if (place_ == text_.size()) fail("a text without an end");
    ++place_;
    return text;
  }

  void parse_escape(std::string& text) {
    if (place_ == text_.size()) fail("the end");
    const char sign = text_[place_++];
    const char* plain = std::strchr("\"\"\\\\//b\bf\fn\nr\rt\t", sign);
    if (sign == 'u') {
      unsigned long code = parse_hex();
      if (code >= 0xD800 && code < 0xDC00 && text_.compare(place_, 2, "\\u") == 0) {
        place_ += 2;
        code = 0x10000 + ((code - 0xD800) << 10) + (parse_hex() - 0xDC00);
      }
      append_utf8(text, code);
    } else if (plain != nullptr && sign != '\0') {
      text += plain[1];
    } else {
      fail("an escape that there is none");
    }
  }

  unsigned long parse_hex() {
    const std::string digits = text_.substr(place_, 4);
    for (const char digit : digits) {
      if (!std::isxdigit(static_cast<unsigned char>(digit))) fail("no four hexadecimal digits");
    }
    if (digits.size() != 4) fail("no four hexadecimal digits");
    place_ += 4;
    return std::strtoul(digits.c_str(), nullptr, 16);
  }

  const std::string& text_;
  std::size_t place_ = 0;
};

Json Json::parse(const std::string& text) { return JsonParser(text).document(); }

const Json& Json::at(const std::string& key) const {
  const auto member = members_.find(key);
  if (member == members_.end()) throw std::runtime_error("there is no key '" + key + "'");
  return member->second;
}

double Json::number() const {
  if (kind_ != Kind::kNumber) throw std::runtime_error("a value is no number");
  return number_;
}

const std::string& Json::text() const {
  if (kind_ != Kind::kText) throw std::runtime_error("a value is no text");
  return text_;
}

const std::vector<Json>& Json::list() const {
  if (kind_ != Kind::kList) throw std::runtime_error("a value is no list");
  return list_;
}
