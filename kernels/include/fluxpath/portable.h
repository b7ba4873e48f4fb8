// Types and functions shared by g++, nvcc and NVRTC. NVRTC has no standard headers, so none is included when
// compiling CUDA.
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

// Ternaries instead of fminf/fmaxf, since they compile to single vector instructions. No operand is ever NaN.
FLUXPATH_INLINE float least(float a, float b) { return a < b ? a : b; }
FLUXPATH_INLINE float most(float a, float b) { return a > b ? a : b; }
FLUXPATH_INLINE float clamp(float x, float low, float high) { return most(low, least(x, high)); }
FLUXPATH_INLINE float sign(float x) { return static_cast<float>(x > 0.0f) - static_cast<float>(x < 0.0f); }

// False for infinities and NaN, true for everything else.
FLUXPATH_INLINE bool finite(double x) { return x - x == 0.0; }

}  // namespace fluxpath
