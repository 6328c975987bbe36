/*
 * The parser of level 1: takes the first match it sees, and remembers few of the places it passes.
 *
 * After deflate_compress_fastest() of libdeflate (Copyright 2016 Eric Biggers; MIT licence in ../libdeflate/COPYING), which
 * remembers all places, and two for each hash: a fourteenth smaller, for two fifths more time.
 */
#ifndef LIGHTNING_NATIVE_FAST_H
#define LIGHTNING_NATIVE_FAST_H

#include "chains.h"

static forceinline void
fast_remember(struct chains *chains, const struct place *place, const u8 *at)
{
	const s32 position = at - place->base;

	if (likely(position < CHAINS_WINDOW))
		chains->heads[chains_hash(at)] = position;
}

/* Compresses a part that refers to nothing before it. */
static void
compress_fast(struct libdeflate_compressor * restrict c, struct chains * restrict chains, const u8 *in, const u8 *in_end,
	      struct deflate_output_bitstream *os)
{
	const u8 *in_next = in;
	struct place place;

	chains_begin(chains, &place, in);
	while (in_next != in_end && !os->overflow) {
		const u8 * const in_block_begin = in_next;
		const u8 * const in_max_block_end = choose_max_block_end(in_next, in_end, FAST_SOFT_MAX_BLOCK_LENGTH);
		struct deflate_sequence *seq = c->p.f.sequences;

		deflate_begin_sequences(c, seq);
		do {
			const u32 left = MIN(in_end - in_next, DEFLATE_MAX_MATCH_LEN);
			const u8 *match;
			mf_pos_t *head;
			s32 position, node;
			u32 len;

			if (unlikely(left < CHAINS_REQUIRED)) {
				deflate_choose_literal(c, *in_next++, false, seq);
				continue;
			}
			position = chains_position(chains, &place, in_next);
			head = &chains->heads[chains_hash(in_next)];
			node = *head;
			*head = position;
			match = place.base + node;
			if (node <= position - CHAINS_WINDOW || !chains_same_four(match, in_next)) {
				deflate_choose_literal(c, *in_next++, false, seq);
				continue;
			}
			len = lz_extend(in_next, match, 4, left);
			deflate_choose_match(c, len, in_next - match, false, &seq);
			if (likely(in_end - in_next >= len + CHAINS_REQUIRED)) {
				fast_remember(chains, &place, in_next + 1);
				fast_remember(chains, &place, in_next + len - 2);
				fast_remember(chains, &place, in_next + len - 1);
			}
			in_next += len;
		} while (in_next < in_max_block_end && seq < &c->p.f.sequences[FAST_SEQ_STORE_LENGTH]);

		deflate_finish_block(c, os, in_block_begin, in_next - in_block_begin, c->p.f.sequences, false);
	}
}

#endif
