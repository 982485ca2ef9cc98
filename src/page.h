/*
 * page.h
 *	  Pages that are read again and again.
 */
#ifndef CREDIT_PAGE_H
#define CREDIT_PAGE_H

#include "storage/block.h"
#include "storage/buf.h"
#include "utils/relcache.h"

extern Buffer page_read(Relation rel, BlockNumber block);
extern Buffer page_read_if_there(Relation rel, BlockNumber block);

#endif							/* CREDIT_PAGE_H */
