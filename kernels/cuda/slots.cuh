// The engine's operations on slots: fill a slot, move a lane, and note how a lane began.
#pragma once

#include "block.cuh"

namespace fluxpath {

// Further arrays with one entry per slot, which the recurrences do not need.
struct Notes {
  float* first_score;
  i64* first_label;
  i64* first_target;  // the explained class; a method can change `target` later
  int* begun;         // whether the lane has been evaluated
};

// A lane that begins in `slot`; `row` is its image's row in the uploaded images.
struct Fresh {
  i64 target;
  int slot, row;
  float reach;  // what is known of it, else zero
  int unused;
};

// Starts a new lane for each entry of `fresh`.
__device__ inline void fill_slots(const LaneArrays& a, const Notes& notes, const float* images,
                                  const Fresh* fresh) {
  const Fresh lane = fresh[blockIdx.y];
  const int slot = lane.slot;
  const i64 n = a.features;
  const Row<const float> given(images, lane.row, n);
  const Row<float> image(const_cast<float*>(a.image), slot, n), point(a.point, slot, n),
      pending(a.pending, slot, n), sum(a.sum, slot, n);
  each_four(n, [&](auto whole, i64 i) {
    const Quad x = given.load(whole, i);
    image.store(whole, i, x);
    point.store(whole, i, x);
    pending.store(whole, i, Quad{});
    sum.store(whole, i, Quad{});
  });
  if (!first_thread()) return;
  a.target[slot] = lane.target;
  notes.begun[slot] = 0;
  a.step[slot] = a.status[slot] = 0;
  a.length[slot] = a.pending_length[slot] = 0.0f;
  a.reach[slot] = lane.reach;
}

// Moves lanes by pairs of slots, from and to. No slot is in two pairs, so their order does not matter.
__device__ inline void move_slots(const LaneArrays& a, const Notes& notes, const int* pairs) {
  const int from = pairs[2 * blockIdx.y], to = pairs[2 * blockIdx.y + 1];
  float* const arrays[] = {const_cast<float*>(a.image), a.point, a.pending, a.sum};
  for (float* rows : arrays) {
    const Row<const float> source(rows, from, a.features);
    const Row<float> free(rows, to, a.features);
    each_four(a.features, [&](auto whole, i64 i) { free.store(whole, i, source.load(whole, i)); });
  }
  if (!first_thread()) return;
  a.target[to] = a.target[from];
  a.step[to] = a.step[from];
  a.status[to] = a.status[from];
  a.length[to] = a.length[from];
  a.pending_length[to] = a.pending_length[from];
  a.reach[to] = a.reach[from];
  notes.first_target[to] = notes.first_target[from];
  notes.begun[to] = notes.begun[from];
  notes.first_score[to] = notes.first_score[from];
  notes.first_label[to] = notes.first_label[from];
}

// One thread per slot: keeps score, label and target of lanes evaluated for the first time; a negative target
// is replaced by the predicted class.
__device__ inline void note_start_of(const LaneArrays& a, const Notes& notes, int count) {
  const int slot = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (slot >= count || notes.begun[slot] != 0) return;
  notes.begun[slot] = 1;
  notes.first_score[slot] = a.score[slot];
  notes.first_label[slot] = a.label[slot];
  if (a.target[slot] < 0) a.target[slot] = a.label[slot];
  notes.first_target[slot] = a.target[slot];
}

}  // namespace fluxpath
