/* The protocol of remote frees, drain, thread end, adoption and page release (native/core/arena.h), for spin.
 * Steps are numbered as there; README.md tells what is covered and what is not.
 *
 * Two pages: page 0 has blocks 0 and 1 in word 0, block 2 in word 1, and is its bucket's current page; page 1 has block 3.
 * Two arenas: 0, whose thread frees, drains, allocates and ends, and which a later thread takes over; 1, whose thread frees
 * blocks of arena 0 and may adopt their pages. A third thread frees and has no arena.
 *
 * FAULT (README.md) puts a mistake into the protocol: each must be found.
 */
#ifndef FAULT
#define FAULT 0
#endif
#define STATE_READ_FIRST 1       /* step 4 reads the state before step 1 */
#define NO_LAST_LOOK 2           /* abandon does not look at the list once more */
#define SUMMARY_UNSAID 3         /* step 2 is left out */
#define PUSHED_ALWAYS 4          /* step 3 whatever step 2 found */
#define BITS_BEFORE_SUMMARY 5    /* the drain collects the words first, and then takes the summary */
#define DRAINED_UNLISTED 6       /* the owner drains a page that nobody has pushed yet */
#define ADOPTED_UNLOCKED 8       /* a page is adopted without the lock */
#define SERVED_UNASKED 9         /* service drains pages whatever their owner's state */
#define DRAINED_FOR_OTHERS 10    /* the owner drains pages of other arenas that came on its list */
#define FREED_AT_ONCE 11         /* step 1 counts the block as free */
#define NOT_SERVED 12            /* step 4 is left out */
#define CLOSED_ONCE 13           /* the fast path is closed in step 0 alone */
#define LOCK_KEPT 14             /* service ends without giving the lock back */
#define ADOPTED_FROM_NOBODY 16   /* a page that is adopted has no owner for a moment */
#define BELIEVED_UNLOCKED 7      /* step 4 drains a page that it has found free without the lock */
#define PUSHED_BACK 15           /* service pushes what it should drain: found as a cycle without progress */

#define NONE 9
#define ACTIVE 1
#define ABANDONED 2
#define PAGES 2
#define ARENAS 2

/* What the core has. */
byte free_bits[PAGES], remote_bits[4], summary[PAGES], owner[PAGES], remote_next[PAGES];
bool is_current[PAGES], is_fast_path_open[PAGES];
byte remote_pages[ARENAS], state[ARENAS];
bool is_locked;

/* What only the checks know. */
bool is_live[4], is_released[PAGES], is_listed[PAGES];
byte inside, ended, handed_over = NONE;

#define page_of(b) ((b) / 3)
#define word_of(b) (page_of(b) * 2 + ((b) == 2))
#define bit_of(b) (1 << (b))
#define all_of(p) (p == 0 -> 7 : 8)
#define TOUCH(p) assert(!is_released[p])
#define is_all_free(p) ((free_bits[p] | remote_bits[p * 2] | remote_bits[p * 2 + 1]) == all_of(p))
#define is_releasable(p) (free_bits[p] == all_of(p) && summary[p] == 0)

inline take_lock() { atomic { !is_locked -> is_locked = true } }
inline give_lock() { is_locked = false }

/* Nobody is in the middle of anything: a remote bit that waits keeps the owner's fast path closed. */
inline check_quiet() {
  d_step {
    assert(inside > 0 || is_released[0] || !is_fast_path_open[0] || remote_bits[0] + remote_bits[1] == 0);
    assert(inside > 0 || is_released[1] || !is_fast_path_open[1] || remote_bits[2] + remote_bits[3] == 0)
  }
}

inline release_page(p) {
  d_step {
    TOUCH(p);
    assert(!is_listed[p] && remote_bits[p * 2] == 0 && remote_bits[p * 2 + 1] == 0 && free_bits[p] == all_of(p));
    owner[p] = NONE;
    is_released[p] = true
  }
}

/* Step 3: a compare and exchange of the list's head, again until it succeeds. */
inline push(p, a) {
  do
  :: first = remote_pages[a];
     TOUCH(p);
     remote_next[p] = first;
     atomic {
       if
       :: remote_pages[a] == first -> assert(!is_listed[p]); is_listed[p] = true; remote_pages[a] = p; break
       :: else
       fi
     }
  od
}

inline take_list(a, list) {
  d_step {
    list = remote_pages[a];
    remote_pages[a] = NONE;
    walk = list;
    do
    :: walk == NONE -> break
    :: else -> is_listed[walk] = false; walk = remote_next[walk]
    od
  }
}

inline collect_word(p, w) {
  d_step { bits = remote_bits[p * 2 + w]; remote_bits[p * 2 + w] = 0; TOUCH(p) }
  d_step { assert((free_bits[p] & bits) == 0); free_bits[p] = free_bits[p] | bits; bits = 0 }
}

inline collect(p) {
  is_fast_path_open[p] = true;
#if FAULT == BITS_BEFORE_SUMMARY
  collect_word(p, 0);
  collect_word(p, 1);
  summary[p] = 0;
#else
  d_step { TOUCH(p); words = summary[p]; summary[p] = 0 }
  if
  :: words & 1 -> collect_word(p, 0)
  :: else
  fi;
  if
  :: words & 2 -> collect_word(p, 1)
  :: else
  fi;
#endif
  words = 0
}

inline settle(p) {
  if
  :: !is_current[p] && is_releasable(p) -> release_page(p)
  :: else
  fi
}

/* What is on the list of an abandoned arena, under the lock. */
inline service_locked(a) {
  inside++;
  do
  :: take_list(a, served);
     if
     :: served == NONE -> break
     :: else
     fi;
     do
     :: served == NONE -> break
     :: else ->
        s = served;
        served = remote_next[s];
        s_owner = owner[s];
        assert(s_owner != NONE);
        if
#if FAULT == SERVED_UNASKED
        :: true -> collect(s); settle(s)
#else
        :: state[s_owner] == ABANDONED ->
#if FAULT == PUSHED_BACK
           push(s, s_owner)
#else
           collect(s);
           settle(s)
#endif
        :: else -> push(s, s_owner)
#endif
        fi
     od
  od;
  s = 0; s_owner = 0;
  inside--
}

/* Step 4. What is read of the page without the lock is a hint: it may be released by now. */
inline look_after(p) {
#if FAULT != STATE_READ_FIRST
  d_step {
    to = owner[p];
    seen = 0;
    if
    :: to != NONE -> seen = state[to]
    :: else
    fi
  }
#endif
#if FAULT != NOT_SERVED
  if
  :: seen == ABANDONED && is_all_free(p) ->
#if FAULT == BELIEVED_UNLOCKED
     collect(p);
     settle(p)
#else
     take_lock();
     to = owner[p];
     if
     :: to != NONE && state[to] == ABANDONED && is_all_free(p) -> service_locked(to)
     :: else
     fi;
#if FAULT != LOCK_KEPT
     give_lock()
#endif
#endif
  :: else
  fi;
#endif
  to = 0; seen = 0
}

/* Step 3. */
inline send_to_owner(p) {
  d_step { TOUCH(p); to = owner[p]; assert(to != NONE) }
  push(p, to);
  to = 0
}

/* The pages that were taken off a list. */
inline drain_taken(a) {
  do
  :: list == NONE -> break
  :: else ->
     d = list;
     list = remote_next[d];
     if
#if FAULT == DRAINED_FOR_OTHERS
     :: true -> collect(d); settle(d)
#else
     :: owner[d] == a -> collect(d); settle(d)
     :: else -> send_to_owner(d); look_after(d)
#endif
     fi
  od;
  d = 0
}

/* Takes the list, whose pages may then wait. */
inline take_waiting(a) {
  inside++;
  take_list(a, list);
  inside--
}

inline drain(a) {
  inside++;
#if FAULT == DRAINED_UNLISTED
  if
  :: owner[0] == a && summary[0] != 0 -> collect(0); settle(0)
  :: else
  fi;
#endif
  drain_taken(a);
  take_list(a, list);
  drain_taken(a);
  inside--;
  check_quiet()
}

inline retire_current(a) {
  if
  :: owner[0] == a && is_current[0] ->
     is_current[0] = false;
     settle(0)
  :: else
  fi
}

inline abandon(a) {
  drain(a);
  retire_current(a);
  take_lock();
  state[a] = ABANDONED;
#if FAULT != NO_LAST_LOOK
  service_locked(a);
#endif
  give_lock()
}

inline free_own(b) {
  d_step { TOUCH(page_of(b)); free_bits[page_of(b)] = free_bits[page_of(b)] | bit_of(b) }
  settle(page_of(b))
}

inline free_remote(b) {
  inside++;
#if FAULT == STATE_READ_FIRST
  d_step { to = owner[page_of(b)]; seen = state[to] }
#endif
  /* step 0 */
  d_step { TOUCH(page_of(b)); is_fast_path_open[page_of(b)] = false }
  /* step 1 */
  d_step {
    TOUCH(page_of(b));
    old = remote_bits[word_of(b)];
    assert((old & bit_of(b)) == 0);
    remote_bits[word_of(b)] = old | bit_of(b);
#if FAULT == FREED_AT_ONCE
    free_bits[page_of(b)] = free_bits[page_of(b)] | bit_of(b);
#endif
  }
  if
  :: old != 0
  :: else ->
#if FAULT != SUMMARY_UNSAID
     /* step 2 */
     d_step { TOUCH(page_of(b)); old = summary[page_of(b)]; summary[page_of(b)] = old | (1 << (word_of(b) % 2)) }
     if
#if FAULT == PUSHED_ALWAYS
     :: true ->
#else
     :: old != 0
     :: else ->
#endif
#if FAULT != CLOSED_ONCE
        d_step { TOUCH(page_of(b)); is_fast_path_open[page_of(b)] = false }
#endif
        send_to_owner(page_of(b))
     fi
#else
     skip
#endif
  fi;
  old = 0;
  look_after(page_of(b));
  inside--;
  check_quiet()
}

/* Moves the page of block b from an abandoned arena into `mine`; is_done says whether. */
inline adopt_page(b, mine) {
#if FAULT != ADOPTED_UNLOCKED
  take_lock();
#endif
  from = owner[page_of(b)];
  is_done = from != NONE && state[from] == ABANDONED;
  if
  :: is_done ->
     TOUCH(page_of(b));
#if FAULT == ADOPTED_FROM_NOBODY
     owner[page_of(b)] = NONE;
#endif
     owner[page_of(b)] = mine;
     service_locked(from)
  :: else
  fi;
#if FAULT != ADOPTED_UNLOCKED
  give_lock();
#endif
  from = 0
}

/* A free by a thread whose arena is `mine`, or that has none. */
inline free_block(b, mine) {
  is_live[b] = false;
  d_step { TOUCH(page_of(b)); from = owner[page_of(b)]; assert(from != NONE) }
  if
  :: from == mine -> from = 0; free_own(b)
  :: else ->
     if
     :: mine != NONE && state[from] == ABANDONED ->
        adopt_page(b, mine);
        if
        :: is_done -> is_done = false; free_own(b)
        :: else -> free_remote(b)
        fi
     :: else -> from = 0; free_remote(b)
     fi
  fi
}

/* A block that is free is handed out, and to another thread. */
inline take_and_hand_over(b, a) {
  if
  :: owner[page_of(b)] == a && (free_bits[page_of(b)] & bit_of(b)) ->
     d_step {
       TOUCH(page_of(b));
       assert(!is_live[b]);
       is_live[b] = true;
       free_bits[page_of(b)] = free_bits[page_of(b)] & (255 - bit_of(b))
     }
     handed_over = b
  :: else
  fi
}

#define LOCALS byte first, walk, bits, words, served, s, s_owner, to, seen, list, d, old, from; bool is_done

/* The thread of arena 0, until its end. */
proctype Owner() {
  LOCALS;
  list = NONE;
  if
  :: take_waiting(0)
  :: skip
  fi;
  free_block(0, 0);
  if
  :: drain(0)
  :: skip
  fi;
  take_and_hand_over(1, 0);
  abandon(0);
  ended++
}

/* Takes arena 0 over when it is abandoned, and ends. */
proctype Successor() {
  LOCALS;
  list = NONE;
  take_lock();
  is_done = state[0] == ABANDONED;
  if
  :: is_done -> state[0] = ACTIVE
  :: else
  fi;
  give_lock();
  if
  :: is_done -> is_done = false; abandon(0)
  :: else
  fi;
  ended++
}

/* A thread with an arena of its own. */
proctype Neighbour() {
  LOCALS;
  list = NONE;
  free_block(1, 1);
  abandon(1);
  ended++
}

/* A thread without one. */
proctype Stranger() {
  LOCALS;
  free_block(2, NONE);
  free_block(3, NONE);
  if
  :: handed_over != NONE -> handed_over = NONE; free_block(1, NONE)
  :: else
  fi;
  ended++
}

/* Once every thread has ended nothing waits any more, and a page without a live block is back. */
init {
  LOCALS;
  atomic {
    owner[0] = 0; owner[1] = 0;
    remote_next[0] = NONE; remote_next[1] = NONE;
    remote_pages[0] = NONE; remote_pages[1] = NONE;
    state[0] = ACTIVE; state[1] = ACTIVE;
    is_current[0] = true;
    is_fast_path_open[0] = true; is_fast_path_open[1] = true;
    is_live[0] = true; is_live[1] = true; is_live[2] = true; is_live[3] = true;
    run Owner(); run Successor(); run Neighbour(); run Stranger()
  }
  ended == 4;
  if
  :: handed_over != NONE -> handed_over = NONE; free_block(1, NONE)
  :: else
  fi;
  assert(!is_locked && inside == 0);
  assert(remote_pages[0] == NONE && remote_pages[1] == NONE);
  assert(remote_bits[0] + remote_bits[1] + remote_bits[2] + remote_bits[3] == 0);
  assert(summary[0] == 0 && summary[1] == 0);
  assert(is_released[0] && is_released[1])
}
