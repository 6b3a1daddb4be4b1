// SPDX-License-Identifier: MIT

#include "v4lfence/fence/provider.hpp"

#include <cerrno>
#include <utility>

#include "v4lfence/fence/end_order.hpp"

namespace v4lfence {

FencePromise::FencePromise(FencePromise&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)), end_(std::move(other.end_)),
      id_(other.id_) {}

FencePromise& FencePromise::operator=(FencePromise&& other) noexcept {
    if (this != &other) {
        std::move(*this).end(-ECANCELED);
        context_ = std::exchange(other.context_, nullptr);
        end_ = std::move(other.end_);
        id_ = other.id_;
    }
    return *this;
}

FencePromise::~FencePromise() {
    std::move(*this).end(-ECANCELED);
}

void FencePromise::end(int error) && noexcept {
    FenceContext* const context = std::exchange(context_, nullptr);
    if (context == nullptr) {
        return;
    }
    publish_before_end();
    context->end_fence(std::move(end_), id_, error);
}

void FencePromise::abandon() noexcept {
    context_ = nullptr;
    end_.reset();
}

}  // namespace v4lfence
