/*
 * list: an intrusive, circular, doubly linked list.
 *
 * The head is a node that belongs to no object. A node that is in no list
 * points at itself, so that removing it twice is harmless.
 */
#ifndef PERCH_BASE_LIST_H
#define PERCH_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next;
	struct list *prev;
};

/* The object that holds node as its member. */
#define list_entry(node, type, member) \
	((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void
list_init(struct list *node)
{
	node->next = node;
	node->prev = node;
}

static inline bool
list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void
list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline void
list_push_back(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void
list_push_front(struct list *head, struct list *node)
{
	list_push_back(head->next, node);
}

#endif
