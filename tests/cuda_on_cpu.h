// Enough of CUDA to run its kernels on the CPU, a thread of a block a fiber: for tests without a GPU.
// Fibers and blocks run in order or, `reversed`, from the last to the first: a race between them shows.
#include <math.h>
#include <ucontext.h>

#include <cstddef>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)

struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct Index {
  unsigned x, y;
};
static Index threadIdx, blockIdx, gridDim;
static ucontext_t scheduler, fibers[1024];
static bool finished[1024];
static void (*body)(void*);
static void* body_data;

inline void __syncthreads() {
  const unsigned me = threadIdx.x;
  swapcontext(&fibers[me], &scheduler);
  threadIdx.x = me;
}
// All threads of the block must call it together, since barriers and shuffles are counted together.
inline double __shfl_xor_sync(unsigned, double mine, int other) {
  static double shown[1024];
  shown[threadIdx.x] = mine;
  __syncthreads();
  const double theirs = shown[threadIdx.x ^ static_cast<unsigned>(other)];
  __syncthreads();
  return theirs;
}
inline void __threadfence() {}
inline unsigned atomicAdd(unsigned* where, unsigned what) {
  const unsigned before = *where;
  *where += what;
  return before;
}

static void fiber(int me) {
  body(body_data);
  finished[me] = true;
}

static void run_block(unsigned threads, bool reversed) {
  static std::vector<char> stacks(1024u * 65536u);
  for (unsigned i = 0; i < threads; ++i) {
    finished[i] = false;
    getcontext(&fibers[i]);
    fibers[i].uc_stack.ss_sp = &stacks[i * 65536u];
    fibers[i].uc_stack.ss_size = 65536u;
    fibers[i].uc_link = &scheduler;
    makecontext(&fibers[i], reinterpret_cast<void (*)()>(fiber), 1, static_cast<int>(i));
  }
  for (bool any = true; any;) {
    any = false;
    for (unsigned k = 0; k < threads; ++k) {
      const unsigned i = reversed ? threads - 1 - k : k;
      if (finished[i]) continue;
      any = true;
      threadIdx.x = i;
      swapcontext(&scheduler, &fibers[i]);
    }
  }
}

template <typename... A, size_t... I>
void emulate_with(void (*kernel)(A...), void** given, unsigned threads, unsigned x, unsigned y, bool reversed,
                  std::index_sequence<I...>) {
  auto call = [=] { kernel(*static_cast<A*>(given[I])...); };
  body = [](void* data) { (*static_cast<decltype(call)*>(data))(); };
  body_data = &call;
  gridDim = {x, y};
  for (unsigned k = 0; k < x * y; ++k) {
    const unsigned b = reversed ? x * y - 1 - k : k;
    blockIdx = {b % x, b / x};
    run_block(threads, reversed);
  }
}

template <typename... A>
void emulate(void (*kernel)(A...), void** given, unsigned threads, unsigned x, unsigned y, bool reversed) {
  emulate_with(kernel, given, threads, x, y, reversed, std::index_sequence_for<A...>{});
}
