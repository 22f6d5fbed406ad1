/*
 * judge_private: what the parts of a judge say to each other.
 *
 * judge.c conducts: ticks, words, and what the plan says is done. judge_setup.c
 * makes of a config's plan what evidence and plan go by; judge_words.c names the
 * versions that reasons are about; judge_restart.c is the state in the journal,
 * there and back. Nobody else includes this.
 */
#ifndef PERCH_PROXY_JUDGE_PRIVATE_H
#define PERCH_PROXY_JUDGE_PRIVATE_H

#include "proxy/judge.h"

/* Who does what nobody asked for. */
#define JUDGE_SELF "judge"

/* --- conducting --------------------------------------------------------------- */

/* Whom what is done goes back to. */
void judge_set_word(struct judge *judge, const char *who, const char *why);
/* For a release whose cell will have this generation and epoch. */
void
judge_start_counting(struct judge *judge, uint32_t generation, uint16_t epoch);
/* The evidence's, at this share. */
void judge_begin_step(struct judge *judge, uint16_t share_bp, uint64_t now_ns);
/* Begins the release if it doesn't run. */
void judge_put_share(struct judge *judge, uint16_t share_bp, uint64_t now_ns);
/* What the plan asks for, but for records and events. */
void
judge_act(struct judge *judge, const struct plan_output *out, uint64_t now_ns);

/* --- setup --------------------------------------------------------------------- */

/* The sides must be there already. */
void
judge_configure_evidence(struct judge *judge, const struct config_plan *plan);
/* share_bp: what to begin at instead of the first step, or 0. */
void
judge_configure_plan(const struct judge *judge, const struct config_plan *from,
	uint16_t share_bp, bool is_auto, struct plan_config *out);
void
judge_take_sides(struct judge *judge, const struct judge_side *sides, size_t n);

/* --- words --------------------------------------------------------------------- */

/* Are they all what the release was to make them? */
bool judge_are_candidates_stable(const struct judge *judge);
/* Is a version's name without its service's not enough? */
bool judge_is_of_group(const struct judge *judge);
/* The one name that all have, else "entry e2, page p7". */
void judge_name_all(const struct judge *judge, struct plan_names *out);
/* "page p7" */
void judge_name_side(const struct judge_side *side, struct plan_names *out);
/* For each signal: of those by which clients were hurt, where that is known, the
 * worst first. */
void judge_name_hurt(
	const struct judge *judge, struct plan_names out[EVIDENCE_SIGNALS]);
/* From now on it is counted anew. */
void judge_forget_hurt(struct judge *judge);

#endif
