// Exact conversion of 16-bit gradients to float32: on a GPU one instruction, written out because NVRTC does
// not include <cuda_fp16.h>; elsewhere bit by bit.
#pragma once

#include "fluxpath/portable.h"

namespace fluxpath {

struct Half {  // IEEE 754 binary16
  unsigned short bits;
};

struct Brain {  // bfloat16
  unsigned short bits;
};

FLUXPATH_INLINE float from_bits(u32 bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

FLUXPATH_INLINE float to_float(float x) { return x; }

FLUXPATH_INLINE float to_float(Brain x) { return from_bits(static_cast<u32>(x.bits) << 16); }

FLUXPATH_INLINE float to_float(Half x) {
#if defined(__CUDA_ARCH__)
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
  return value;
#else
  const u32 sign = static_cast<u32>(x.bits & 0x8000u) << 16, rest = x.bits & 0x7FFFu;
  if (rest >= 0x7C00u) return from_bits(sign | 0x7F800000u | (rest & 0x3FFu) << 13);  // infinity, NaN
  if (rest >= 0x0400u) return from_bits(sign | ((rest << 13) + 0x38000000u));
  const float small = static_cast<float>(rest) * 5.9604644775390625e-8f;  // subnormal: units of 2^-24
  return sign != 0u ? -small : small;
#endif
}

}  // namespace fluxpath
