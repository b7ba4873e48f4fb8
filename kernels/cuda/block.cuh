// Shared by the kernels. A lane's row is split into chunks of fixed size, one block per chunk, so that even a
// single lane keeps many multiprocessors busy; the launch grid is (chunks, lanes).
#pragma once

#include "fluxpath/element.h"
#include "fluxpath/lanes.h"

namespace fluxpath {

constexpr int kThreads = 256;
constexpr int kWarp = 32, kWarps = kThreads / kWarp;
// Elements per block: two accesses of 16 bytes per thread and array. Chunks must not depend on the batch,
// because they determine the order of the sums.
constexpr i64 kChunk = 2048;
// The same for `measure`, which only reads: its loads are all under way together, and the sum over the block,
// during which it reads nothing, comes once in many elements.
constexpr i64 kMeasured = 8192;

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

// Whether the length of a row is a multiple of four, as a type: were it asked at each load, the second load
// would only be issued once the first has arrived.
template <bool kIs>
struct Whole {};

// A row whose elements are accessed four at a time: in one access if it is whole, else one by one. The arrays
// begin at addresses from `Device.allocate`, which are aligned.
template <typename T>
class Row {
 public:
  __device__ Row(T* base, int slot, i64 n) : data_(base + slot * n), n_(n) {}

  // Elements i .. i+3, with zeros past the end.
  template <bool kWhole>
  __device__ Quad load(Whole<kWhole>, i64 i) const {
    Quad q = {};
    if constexpr (kWhole) {
      struct alignas(4 * sizeof(T)) Four {
        T v[4];
      };
      const Four four = *reinterpret_cast<const Four*>(data_ + i);
      for (int k = 0; k < 4; ++k) q.v[k] = to_float(four.v[k]);
    } else {
      for (int k = 0; k < 4; ++k)
        if (i + k < n_) q.v[k] = to_float(data_[i + k]);
    }
    return q;
  }

  template <bool kWhole>
  __device__ void store(Whole<kWhole>, i64 i, const Quad& q) const {
    if constexpr (kWhole) {
      *reinterpret_cast<float4*>(data_ + i) = make_float4(q.v[0], q.v[1], q.v[2], q.v[3]);
    } else {
      for (int k = 0; k < 4; ++k)
        if (i + k < n_) data_[i + k] = q.v[k];
    }
  }

 private:
  T* data_;
  i64 n_;
};

template <typename G>
__device__ Row<const G> gradient_row(const LaneArrays& a, int slot) {
  return Row<const G>(reinterpret_cast<const G*>(a.gradient), slot, a.features);
}

// Calls work(whole, i) with the index of the first element of each group of four that this thread handles.
template <i64 kElements = kChunk, typename Work>
__device__ void each_four(i64 n, Work work) {
  const i64 first = blockIdx.x * kElements + 4 * static_cast<i64>(threadIdx.x);
  constexpr int kAccesses = static_cast<int>(kElements / (4 * kThreads));
  if (n % 4 == 0) {
#pragma unroll
    for (int k = 0; k < kAccesses; ++k)
      if (first + 4 * k * kThreads < n) work(Whole<true>{}, first + 4 * k * kThreads);
  } else {
#pragma unroll
    for (int k = 0; k < kAccesses; ++k)
      if (first + 4 * k * kThreads < n) work(Whole<false>{}, first + 4 * k * kThreads);
  }
}

// As many elements as one access of 16 bytes takes.
template <typename T>
struct alignas(16) Pack {
  static constexpr int kCount = 16 / sizeof(T);
  T v[kCount];
};

// This thread's part of the squared norm of a row, in chunks of kMeasured elements.
template <typename T>
__device__ double squared_part(const T* base, int slot, i64 n) {
  constexpr int kCount = Pack<T>::kCount, kLoads = static_cast<int>(kMeasured / (kCount * kThreads));
  const T* const row = base + slot * n;
  const i64 first = blockIdx.x * kMeasured;
  double squared = 0.0;
  if (n % kCount == 0) {
    Pack<T> packs[kLoads];
#pragma unroll
    for (int k = 0; k < kLoads; ++k) {
      const i64 i = first + kCount * (k * kThreads + static_cast<i64>(threadIdx.x));
      packs[k] = i < n ? *reinterpret_cast<const Pack<T>*>(row + i) : Pack<T>{};
    }
#pragma unroll
    for (int k = 0; k < kLoads; ++k)
      for (int j = 0; j < kCount; ++j) {
        const double g = to_float(packs[k].v[j]);
        squared += g * g;
      }
  } else {
#pragma unroll 8
    for (i64 i = first + threadIdx.x; i < first + kMeasured; i += kThreads) {
      const double g = i < n ? to_float(row[i]) : 0.0f;
      squared += g * g;
    }
  }
  return squared;
}

template <typename G>
__device__ double squared_gradient(const LaneArrays& a, int slot) {
  return squared_part(reinterpret_cast<const G*>(a.gradient), slot, a.features);
}

// This thread's part of the L1 norm, which only the first evaluation of some lanes needs.
template <typename G>
__device__ double absolute_gradient(const LaneArrays& a, int slot) {
  const Row<const G> gradient = gradient_row<G>(a, slot);
  double sum = 0.0;
  each_four<kMeasured>(a.features, [&](auto whole, i64 i) {
    const Quad g = gradient.load(whole, i);
    for (int k = 0; k < 4; ++k) sum += g.v[k] < 0.0f ? -g.v[k] : g.v[k];
  });
  return sum;
}

// Sums of the whole block, in a fixed order, for its first thread only. Two calls need a barrier in between.
template <int kSums>
__device__ void block_sum(double (&mine)[kSums]) {
  __shared__ double part[kSums][kWarps];
  for (int s = 0; s < kSums; ++s) {
    for (int half = kWarp / 2; half > 0; half /= 2)
      mine[s] += __shfl_xor_sync(0xFFFFFFFFu, mine[s], half);
    if (threadIdx.x % kWarp == 0) part[s][threadIdx.x / kWarp] = mine[s];
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int s = 0; s < kSums; ++s)
    for (int w = 1; w < kWarps; ++w) mine[s] += part[s][w];
}

// Stores this block's part of one or two sums; returns whether this is the lane's last block to do so.
template <int kSums>
__device__ bool last_with(const Scratch& s, int slot, double (&mine)[kSums]) {
  __shared__ bool last;
  block_sum(mine);
  if (threadIdx.x == 0) {
    double* partial = s.partial + 2 * (static_cast<i64>(slot) * gridDim.x + blockIdx.x);
    for (int k = 0; k < kSums; ++k) partial[k] = mine[k];
    __threadfence();
    last = atomicAdd(&s.ticket[slot], 1u) == gridDim.x - 1;
    if (last) s.ticket[slot] = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

// In the last block: the lane's sums, for its first thread only, in an order that depends only on `features`.
template <int kSums>
__device__ void lane_sum(const Scratch& s, int slot, double (&sums)[kSums]) {
  // volatile: other blocks wrote these during this launch.
  const volatile double* partial = s.partial + 2 * static_cast<i64>(slot) * gridDim.x;
  for (int k = 0; k < kSums; ++k) sums[k] = 0.0;
  for (u32 c = threadIdx.x; c < gridDim.x; c += kThreads)
    for (int k = 0; k < kSums; ++k) sums[k] += partial[2 * c + k];
  block_sum(sums);
}

__device__ inline bool first_thread() { return threadIdx.x == 0 && blockIdx.x == 0; }

// Whether the lane of this status is still running; if not, the launches that follow skip it.
__device__ inline bool goes_on(const Scratch& s, int slot, int status) {
  if (status == kRunning) return true;
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
