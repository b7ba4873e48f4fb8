// What g++, nvcc and NVRTC need to agree on. NVRTC has no standard headers: nothing here includes one
// when it compiles CUDA.
#pragma once

#if defined(__CUDACC__)
#define FLUXPATH_INLINE __host__ __device__ __forceinline__
#else
#include <math.h>
#define FLUXPATH_INLINE inline
#endif

namespace fluxpath {

typedef long long i64;
typedef unsigned int u32;
typedef unsigned long long u64;

// Ternaries rather than fminf/fmaxf: they become single vector instructions. No operand is ever NaN here.
FLUXPATH_INLINE float least(float a, float b) { return a < b ? a : b; }
FLUXPATH_INLINE float most(float a, float b) { return a > b ? a : b; }
FLUXPATH_INLINE float clamp(float x, float low, float high) { return most(low, least(x, high)); }
FLUXPATH_INLINE float sign(float x) { return static_cast<float>(x > 0.0f) - static_cast<float>(x < 0.0f); }

// True for everything but infinities and NaN.
FLUXPATH_INLINE bool finite(double x) { return x - x == 0.0; }

}  // namespace fluxpath
