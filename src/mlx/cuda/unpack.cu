// Numbers of packed rows: a code and what turns it into a number.
//
// Before this text stand the type T and the constants WIDTH (numbers of a row),
// BITS, WORDS (of a record), CODE_WORDS, GROUP (numbers that share a scale and a
// bias; 0 where a row has one length) and CODEBOOK.

__device__ inline void unpack(const uint32_t* records, T* out, int64_t size) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= size) {
    return;
  }
  const uint32_t* record = records + at / WIDTH * WORDS;
  const int column = at % WIDTH;
  const int word = column * BITS / 32;
  const int bit = column * BITS % 32;
  uint32_t code = record[word] >> bit;
  if (bit + BITS > 32) {
    code |= record[word + 1] << (32 - bit);
  }
  code &= (1u << BITS) - 1;
  float number;
  if (GROUP > 0) {
    const uint32_t both = record[CODE_WORDS + column / (GROUP > 0 ? GROUP : 1)];
    const float scale = __half2float(__ushort_as_half(static_cast<unsigned short>(both)));
    const float bias = __half2float(__ushort_as_half(static_cast<unsigned short>(both >> 16)));
    number = scale * code + bias;
  } else {
    number = CODEBOOK[code] * __uint_as_float(record[CODE_WORDS]);
  }
  out[at] = static_cast<T>(number);
}
