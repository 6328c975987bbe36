/*
 * Finds matches with hash chains: libdeflate's, but that it goes along the rarer of two.
 *
 * After lib/hc_matchfinder.h of libdeflate (Copyright 2016 Eric Biggers, Copyright 2024 Google LLC; MIT licence in
 * ../libdeflate/COPYING). What is better than the best match so far does not only begin with the same four bytes, it also has
 * the four that end one byte after that match. Libdeflate goes along the chain of the first four; this, as soon as there is
 * a match, along that of the two which begins farther away (zlib-ng does so at its highest level), and most often there is
 * nothing in it. Matches of three bytes are seldom worth it where there are longer ones: they are looked for only among the
 * places of the part where something was looked for before.
 */
#ifndef LIGHTNING_NATIVE_CHAINS_H
#define LIGHTNING_NATIVE_CHAINS_H

#include "lib/matchfinder_common.h"

/* Signed, as positions are. */
#define CHAINS_WINDOW ((s32)MATCHFINDER_WINDOW_SIZE)
#define CHAINS_HASH_ORDER 16
#define CHAINS_HASH3_ORDER 13
/* As many bytes must be left where something is looked for: the four after the first are hashed, too. */
#define CHAINS_REQUIRED 5

/* Positions are relative to `place.base`; MATCHFINDER_INITVAL is before any window. */
struct MATCHFINDER_ALIGNED chains {
	/* The last position with a hash, of four bytes and of three. */
	mf_pos_t heads[1UL << CHAINS_HASH_ORDER];
	mf_pos_t heads3[1UL << CHAINS_HASH3_ORDER];
	/* The position with the same hash before each. */
	mf_pos_t before[CHAINS_WINDOW];
};

/* Where in its content a match finder is; see Place in lib.rs. */
struct place {
	/* Nothing before this is known. */
	const u8 *first;
	const u8 *base;
	u32 next_hash;
};

static forceinline u32
chains_hash(const u8 *at)
{
	return lz_hash(get_unaligned_le32(at), CHAINS_HASH_ORDER);
}

static forceinline bool
chains_same_four(const u8 *a, const u8 *b)
{
	return load_u32_unaligned(a) == load_u32_unaligned(b);
}

/* Forgets what depends on where something was looked for, which may not be known of the bytes before a part. */
static void
chains_begin_part(struct chains *chains)
{
	matchfinder_init(chains->heads3, sizeof(chains->heads3));
}

static void
chains_begin(struct chains *chains, struct place *place, const u8 *first)
{
	matchfinder_init(chains->heads, sizeof(chains->heads));
	place->first = place->base = first;
	place->next_hash = 0;
}

/* The position of `in_next`, after which there is room in the tables. */
static forceinline s32
chains_position(struct chains *chains, struct place *place, const u8 *in_next)
{
	s32 position = in_next - place->base;

	if (position >= CHAINS_WINDOW) {
		matchfinder_rebase((mf_pos_t *)chains, sizeof(*chains));
		place->base += CHAINS_WINDOW;
		position -= CHAINS_WINDOW;
	}
	return position;
}

/* Takes `count` bytes in; none if that is where the content ends, where nothing is looked for any more. */
static forceinline void
chains_pass(struct chains *chains, struct place *place, const u8 *in_next, const u8 *content_end, u32 count)
{
	const u8 * const end = in_next + count;
	u32 hash = place->next_hash;

	if (unlikely(content_end - in_next < (ptrdiff_t)count + CHAINS_REQUIRED))
		return;
	while (in_next != end) {
		s32 position = chains_position(chains, place, in_next);
		const u8 * const stop = MIN(end, place->base + CHAINS_WINDOW);

		do {
			chains->before[position] = chains->heads[hash];
			chains->heads[hash] = position++;
			hash = chains_hash(++in_next);
		} while (in_next != stop);
	}
	prefetchw(&chains->heads[hash]);
	place->next_hash = hash;
}

/*
 * Takes one byte in, and returns the length of the longest match for what begins with it, if that is longer than `best_len`,
 * with its offset; else `best_len`. `max_len` is at least CHAINS_REQUIRED.
 */
static forceinline u32
chains_longest_match(struct chains *chains, struct place *place, const u8 *in_next, u32 best_len, u32 max_len, u32 nice_len,
		     u32 depth, u32 *offset)
{
	const u32 mask = CHAINS_WINDOW - 1;
	const s32 position = chains_position(chains, place, in_next);
	const u8 * const base = place->base;
	/* Positions up to this are out of the window, or before all that is known. */
	const s32 cutoff = MAX(position - CHAINS_WINDOW, (s32)(place->first - base) - 1);
	const u32 hash = place->next_hash;
	const u8 *best = in_next, *match;
	/* Where the chain is, and how far after the start of a match. */
	s32 node = chains->heads[hash], ahead = 0;

	chains->heads[hash] = position;
	chains->before[position] = node;
	place->next_hash = chains_hash(in_next + 1);
	prefetchw(&chains->heads[place->next_hash]);

	if (best_len < 4) {
		const u32 bytes = load_u32_unaligned(in_next);
		mf_pos_t * const head3 = &chains->heads3[lz_hash(loaded_u32_to_u24(bytes), CHAINS_HASH3_ORDER)];

		if (best_len < 3 && *head3 > cutoff && load_u24_unaligned(base + *head3) == loaded_u32_to_u24(bytes)) {
			best_len = 3;
			best = base + *head3;
		}
		*head3 = position;
		for (;; node = chains->before[node & mask]) {
			if (node <= cutoff || !depth--)
				goto out;
			match = base + node;
			if (chains_same_four(match, in_next))
				break;
		}
		best = match;
		best_len = lz_extend(in_next, match, 4, max_len);
		node = chains->before[node & mask];
	}
	while (best_len < nice_len) {
		/* The four bytes that a better match has to have. */
		const s32 tail = best_len - 3;
		const s32 tail_node = chains->heads[chains_hash(in_next + tail)];
		s32 limit;
		u32 len;

		if (tail_node - tail < node - ahead) {
			node = tail_node;
			ahead = tail;
		}
		limit = cutoff + ahead;
		for (;; node = chains->before[node & mask]) {
			if (node <= limit || !depth--)
				goto out;
			match = base + node - ahead;
			if (chains_same_four(match + tail, in_next + tail) && chains_same_four(match, in_next)) {
				len = lz_extend(in_next, match, 4, max_len);
				if (len > best_len)
					break;
			}
		}
		best = match;
		best_len = len;
		node = chains->before[node & mask];
	}
out:
	*offset = in_next - best;
	return best_len;
}

#endif
