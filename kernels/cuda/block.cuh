// Shared by the kernels. A lane's row is split into chunks of fixed size, one block per chunk, so that even a
// single lane keeps many multiprocessors busy; the launch grid is (chunks, lanes).
#pragma once

#include "fluxpath/element.h"
#include "fluxpath/lanes.h"

namespace fluxpath {

constexpr int kThreads = 256;
// Elements per block: two accesses of 16 bytes per thread and array. It must not depend on the batch, because
// it determines the order of the sums.
constexpr i64 kChunk = 2048;
constexpr int kAccesses = static_cast<int>(kChunk / (4 * kThreads));

// The decision of an advance's first launch for the second one.
enum Act : int { kNothing = 0, kStep = 1, kClose = 2 };

struct Plan {
  int act;
  float factor;  // MFABA's step factor, or one over the norm of NeFLAG's noise
  float before, after, length;  // path="norm": lengths of the displacements before and after the point; total
};

// One entry per slot; `partial` has two per slot and chunk.
struct Scratch {
  double* partial;
  Plan* plan;
  u32* ticket;  // zero between launches
};

struct Quad {
  float v[4];
};

// A row whose elements are accessed four at a time: in one access if it is aligned, else one by one.
template <typename T>
class Row {
 public:
  __device__ Row(T* base, int slot, i64 n)
      : data_(base + slot * n),
        n_(n),
        whole_(n % 4 == 0 && reinterpret_cast<u64>(base) % (4 * sizeof(T)) == 0) {}

  // Elements i .. i+3, with zeros past the end.
  __device__ Quad load(i64 i) const {
    Quad q = {};
    if (whole_) {
      struct alignas(4 * sizeof(T)) Pack {
        T v[4];
      };
      const Pack pack = *reinterpret_cast<const Pack*>(data_ + i);
      for (int k = 0; k < 4; ++k) q.v[k] = to_float(pack.v[k]);
    } else {
      for (int k = 0; k < 4; ++k)
        if (i + k < n_) q.v[k] = to_float(data_[i + k]);
    }
    return q;
  }

  __device__ void store(i64 i, const Quad& q) const {
    if (whole_) {
      *reinterpret_cast<float4*>(data_ + i) = make_float4(q.v[0], q.v[1], q.v[2], q.v[3]);
    } else {
      for (int k = 0; k < 4; ++k)
        if (i + k < n_) data_[i + k] = q.v[k];
    }
  }

 private:
  T* data_;
  i64 n_;
  bool whole_;
};

template <typename G>
__device__ Row<const G> gradient_row(const LaneArrays& a, int slot) {
  return Row<const G>(reinterpret_cast<const G*>(a.gradient), slot, a.features);
}

// Calls work(i) with the index of the first element of each group of four that this thread handles.
template <typename Work>
__device__ void each_four(i64 n, Work work) {
#pragma unroll
  for (int k = 0; k < kAccesses; ++k) {
    const i64 i = blockIdx.x * kChunk + 4 * (k * kThreads + static_cast<i64>(threadIdx.x));
    if (i < n) work(i);
  }
}

// The sum of all threads' values in a fixed order, returned to every thread.
__device__ inline double block_sum(double mine) {
  __shared__ double part[kThreads];
  part[threadIdx.x] = mine;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  __syncthreads();
  const double total = part[0];
  __syncthreads();  // before the next sum writes to `part`
  return total;
}

// Stores this block's part of two sums; returns whether this is the lane's last block to do so.
__device__ inline bool last_with(const Scratch& s, int slot, double first, double second) {
  __shared__ bool last;
  first = block_sum(first);
  second = block_sum(second);
  if (threadIdx.x == 0) {
    double* mine = s.partial + 2 * (static_cast<i64>(slot) * gridDim.x + blockIdx.x);
    mine[0] = first;
    mine[1] = second;
    __threadfence();
    last = atomicAdd(&s.ticket[slot], 1u) == gridDim.x - 1;
    if (last) s.ticket[slot] = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

// In the last block: the lane's first (0) or second (1) sum, in an order that depends only on `features`.
__device__ inline double lane_sum(const Scratch& s, int slot, int which) {
  // volatile: other blocks wrote these during this launch.
  const volatile double* partial = s.partial + 2 * static_cast<i64>(slot) * gridDim.x;
  double mine = 0.0;
  for (u32 c = threadIdx.x; c < gridDim.x; c += kThreads) mine += partial[2 * c + which];
  return block_sum(mine);
}

__device__ inline bool first_thread() { return threadIdx.x == 0 && blockIdx.x == 0; }

// Whether the lane is still running; if not, the launches that follow skip it.
__device__ inline bool goes_on(const LaneArrays& a, const Scratch& s, int slot) {
  if (a.status[slot] == kRunning) return true;
  if (first_thread()) s.plan[slot].act = kNothing;
  return false;
}

// Writes the lane's entries; called by its last block, after all of its blocks have read them.
__device__ inline void conclude(const LaneArrays& a, const Scratch& s, int slot, int status, float factor) {
  Plan& plan = s.plan[slot];
  plan.act = status == kRunning ? kStep : status == kNonFinite ? kNothing : kClose;
  plan.factor = factor;
  plan.before = a.pending_length[slot];
  plan.length = a.length[slot];
  a.status[slot] = status;
  if (status == kRunning) ++a.step[slot];
}

}  // namespace fluxpath
