/*
 * libdeflate's lazy compressor over the parts of a stream, and a fast one.
 *
 * After deflate_compress_lazy_generic() of libdeflate (Copyright 2016 Eric Biggers, Copyright 2024 Google LLC; MIT licence in
 * ../libdeflate/COPYING). It differs in that the match finder knows what is before the part, that matches end with the part,
 * and that no block is the last of its stream.
 */
#include "lib/lib_common.h"

/* Its own interface is not needed, and must not meet that of a libdeflate that another crate links. */
#undef LIBDEFLATEAPI
#define LIBDEFLATEAPI static __attribute__((unused))
#define libdeflate_alloc_compressor_ex unused_alloc_compressor_ex
#define libdeflate_alloc_compressor unused_alloc_compressor
#define libdeflate_deflate_compress unused_deflate_compress
#define libdeflate_deflate_compress_bound unused_deflate_compress_bound
#define libdeflate_free_compressor unused_free_compressor
#define libdeflate_get_compression_level lightning_native_deflate_level
#define libdeflate_default_malloc_func NULL
#define libdeflate_default_free_func NULL
#define libdeflate_aligned_malloc(malloc_func, alignment, size) NULL
#define libdeflate_aligned_free(free_func, pointer) ((void)0)
#include "lib/deflate_compress.c"

#include "chains.h"
#include "fast.h"

#include <stdlib.h>

/* The level whose parts know nothing of what is before them. */
#define FAST 1
/* The levels that look two bytes ahead. */
#define LOOKS_TWO_AHEAD(level) ((level) >= 8)
/* Room for the bits before, and the length of, an empty stored block. */
#define ALIGNMENT_LENGTH 6

/* Much of libdeflate's compressor is for other levels and not touched, so that it takes no memory. */
struct compressor {
	struct chains chains;
	struct libdeflate_compressor libdeflate;
};

struct compressor *
lightning_native_deflate_new(int level, u32 max_search_depth, u32 nice_match_length)
{
	struct compressor *c = aligned_alloc(MATCHFINDER_MEM_ALIGNMENT, ALIGN(sizeof(*c), MATCHFINDER_MEM_ALIGNMENT));

	if (!c)
		return NULL;
	memset(&c->libdeflate, 0, offsetof(struct libdeflate_compressor, p));
	c->libdeflate.compression_level = level;
	c->libdeflate.max_search_depth = max_search_depth;
	c->libdeflate.nice_match_length = nice_match_length;
	deflate_init_static_codes(&c->libdeflate);
	return c;
}

void
lightning_native_deflate_free(struct compressor *c)
{
	free(c);
}

static forceinline u32
longest_match(struct chains *chains, struct place *place, const u8 *in_next, const u8 *content_end, u32 best_len, u32 max_len,
	      u32 nice_len, u32 depth, u32 *offset)
{
	/* The last bytes of a part may be followed by another part. */
	if (unlikely(max_len < CHAINS_REQUIRED)) {
		chains_pass(chains, place, in_next, content_end, 1);
		return best_len;
	}
	return chains_longest_match(chains, place, in_next, best_len, max_len, nice_len, depth, offset);
}

static forceinline int
gain(u32 len, u32 offset, u32 next_len, u32 next_offset)
{
	return 4 * (int)(next_len - len) + ((int)bsr32(offset) - (int)bsr32(next_offset));
}

static forceinline void
compress_part(struct libdeflate_compressor * restrict c, struct chains * restrict chains, struct place *where, const u8 *in,
	      const u8 *in_end, const u8 *content_end, struct deflate_output_bitstream *os, bool lazy2)
{
	const u8 *in_next = in;
	u32 max_len = DEFLATE_MAX_MATCH_LEN;
	u32 nice_len = MIN(c->nice_match_length, max_len);
	/* A better match is looked for with less effort. */
	const u32 depth = c->max_search_depth;
	const u32 next_depth = depth >> 1;
	const u32 second_depth = next_depth >> 1;
	const u32 passed = lazy2 ? 3 : 2;
	struct place place = *where;

	while (in_next != in_end && !os->overflow) {
		const u8 * const in_block_begin = in_next;
		const u8 * const in_max_block_end = choose_max_block_end(in_next, in_end, SOFT_MAX_BLOCK_LENGTH);
		const u8 *next_recalc_min_len = in_next + MIN(in_end - in_next, 10000);
		struct deflate_sequence *seq = c->p.g.sequences;
		u32 min_len;

		init_block_split_stats(&c->split_stats);
		deflate_begin_sequences(c, seq);
		min_len = calculate_min_match_len(in_next, in_max_block_end - in_next, depth);
		do {
			u32 len, next_len;
			u32 offset = 0, next_offset = 0;

			if (in_next >= next_recalc_min_len) {
				min_len = recalculate_min_match_len(&c->freqs, depth);
				next_recalc_min_len += MIN(in_end - next_recalc_min_len, in_next - in_block_begin);
			}
			adjust_max_and_nice_len(&max_len, &nice_len, in_end - in_next);
			len = longest_match(chains, &place, in_next, content_end, min_len - 1, max_len, nice_len, depth, &offset);
			if (len < min_len || (len == DEFLATE_MIN_MATCH_LEN && offset > 8192)) {
				deflate_choose_literal(c, *in_next++, true, seq);
				continue;
			}
			in_next++;
have_match:
			if (len >= nice_len) {
				deflate_choose_match(c, len, offset, true, &seq);
				chains_pass(chains, &place, in_next, content_end, len - 1);
				in_next += len - 1;
				continue;
			}
			adjust_max_and_nice_len(&max_len, &nice_len, in_end - in_next);
			next_len = longest_match(chains, &place, in_next++, content_end, len - 1, max_len, nice_len, next_depth,
						 &next_offset);
			if (next_len >= len && gain(len, offset, next_len, next_offset) > 2) {
				deflate_choose_literal(c, *(in_next - 2), true, seq);
				len = next_len;
				offset = next_offset;
				goto have_match;
			}
			if (lazy2) {
				adjust_max_and_nice_len(&max_len, &nice_len, in_end - in_next);
				next_len = longest_match(chains, &place, in_next++, content_end, len - 1, max_len, nice_len,
							 second_depth, &next_offset);
				if (next_len >= len && gain(len, offset, next_len, next_offset) > 6) {
					deflate_choose_literal(c, *(in_next - 3), true, seq);
					deflate_choose_literal(c, *(in_next - 2), true, seq);
					len = next_len;
					offset = next_offset;
					goto have_match;
				}
			}
			deflate_choose_match(c, len, offset, true, &seq);
			if (len > passed) {
				chains_pass(chains, &place, in_next, content_end, len - passed);
				in_next += len - passed;
			}
		} while (in_next < in_max_block_end && seq < &c->p.g.sequences[SEQ_STORE_LENGTH] &&
			 !should_end_block(&c->split_stats, in_block_begin, in_next, in_end));

		deflate_finish_block(c, os, in_block_begin, in_next - in_block_begin, c->p.g.sequences, false);
	}
	*where = place;
}

/*
 * Compresses content[start..end] of content[0..length], ends at a whole byte, and returns the length of that; 0 if there is
 * no room. `goes_on` says that the last call was for what ends at `start`, with the same place and content.
 */
size_t
lightning_native_deflate_part(struct compressor *c, struct place *place, bool goes_on, const u8 *content,
			      size_t start, size_t end, size_t length, u8 *out, size_t available)
{
	struct deflate_output_bitstream os = { .next = out, .end = out + available };
	const int level = c->libdeflate.compression_level;

	if (level == FAST) {
		compress_fast(&c->libdeflate, &c->chains, content + start, content + end, &os);
	} else {
		if (!goes_on) {
			size_t from = start - MIN(start, MATCHFINDER_WINDOW_SIZE);

			chains_begin(&c->chains, place, content + from);
			chains_pass(&c->chains, place, content + from, content + length, start - from);
		}
		chains_begin_part(&c->chains);
		if (LOOKS_TWO_AHEAD(level))
			compress_part(&c->libdeflate, &c->chains, place, content + start, content + end, content + length, &os, true);
		else
			compress_part(&c->libdeflate, &c->chains, place, content + start, content + end, content + length, &os, false);
	}
	if (os.overflow || os.end - os.next < ALIGNMENT_LENGTH)
		return 0;
	if (os.bitcount) {
		/* An empty stored block: three bits of zero, zeros to the next byte, its length and that inverted. */
		for (int bits = os.bitcount + 3; bits > 0; bits -= 8) {
			*os.next++ = os.bitbuf;
			os.bitbuf >>= 8;
		}
		*os.next++ = 0;
		*os.next++ = 0;
		*os.next++ = 0xff;
		*os.next++ = 0xff;
	}
	return os.next - out;
}
