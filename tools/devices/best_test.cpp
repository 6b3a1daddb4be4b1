// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <vector>

#include "tools/devices/best.hpp"

namespace v4lfence {
namespace {

NodeFacts node(const char* path, const char* kind, const char* driver) {
    NodeFacts facts;
    facts.path = path;
    facts.kind = kind;
    facts.driver = driver;
    facts.queues.emplace_back();
    return facts;
}

TEST(BestDevice, hardware_comes_before_a_test_driver) {
    const std::vector<NodeFacts> nodes = {node("/dev/video0", "capture", "vivid"),
                                          node("/dev/video1", "output", "vivid"),
                                          node("/dev/video2", "capture-mplane", "rkisp1")};
    EXPECT_EQ(best_capture_device(nodes), "/dev/video2");
}

TEST(BestDevice, a_test_driver_comes_before_the_librarys_own) {
    const std::vector<NodeFacts> nodes = {node("/dev/video0", "m2m", "vim2m"),
                                          node("/dev/video1", "capture", "vivid")};
    EXPECT_EQ(best_capture_device(nodes), "/dev/video1");
}

TEST(BestDevice, one_of_the_librarys_own_that_is_listed_is_no_hardware) {
    NodeFacts own = node("virtual:codec", "capture", "v4lfence");
    own.is_virtual = true;
    EXPECT_EQ(best_capture_device(std::vector<NodeFacts>{own}), "virtual:camera");
}

TEST(BestDevice, one_that_cannot_be_opened_is_none) {
    NodeFacts closed = node("/dev/video0", "capture", "uvcvideo");
    closed.queues.clear();
    EXPECT_EQ(best_capture_device(std::vector<NodeFacts>{closed}), "virtual:camera");
}

}  // namespace
}  // namespace v4lfence
