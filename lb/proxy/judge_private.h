/*
 * judge_private: what the parts of a judge say to each other.
 *
 * judge.c conducts: ticks, words, and what the plan says is done. judge_setup.c
 * makes of a config's plan what evidence and plan go by; judge_restart.c is the
 * state in the journal, there and back. Nobody else includes this.
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
/* The first side's. */
const char *judge_stable_name(const struct judge *judge);

#endif
