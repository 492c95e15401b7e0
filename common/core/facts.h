// What is known of the world, as plain values. "Not running" and "could not tell" are different
// facts: no rule may act on an Unknown as if it were an answer.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace hooks {

struct Unknown {
    std::string why;
    bool operator==(const Unknown&) const = default;
};

template <class T>
class Known {
  public:
    Known() : state_(Unknown{"not looked at"}) {}
    Known(Unknown unknown) : state_(std::move(unknown)) {}
    Known(T value) : state_(std::move(value)) {}

    explicit operator bool() const { return state_.index() == 1; }
    const T& operator*() const { return std::get<1>(state_); }
    const T* operator->() const { return &std::get<1>(state_); }
    // Only when it is unknown.
    const std::string& why() const { return std::get<0>(state_).why; }

    bool operator==(const Known&) const = default;

  private:
    std::variant<Unknown, T> state_;
};

}  // namespace hooks
