#!/usr/bin/env python3
"""Random scenarios with what gen.py leaves out (format: README.md).

Several sessions on one descriptor, watchers registered again, session options,
run_one_timeslice, deep trees, storms of stop. The cases in cases/ come from
gen.py alone; fuzz.py takes these, unless told otherwise.

  more.py SEED    print one scenario
"""
import random
import sys

sys.dont_write_bytecode = True
import gen  # noqa: E402

WEIGHT = dict(share=.5, deep=.2, storm=.15, nested=.15, slices=.15, options=.2)
# How often an operation is one of ours, if any of these is on.
SHARE = .22
# No exception goes through a nested slice: POE's would leave all of them.
CALM = ('die', 'nocatch', 'kstop')


class More(gen.Gen):
    def __init__(self, seed):
        super().__init__(seed)
        self.s = random.Random('more %d' % seed)
        self.also = {g for g in WEIGHT if self.s.random() < WEIGHT[g]}
        if 'deep' in self.also:
            self.names = ['s%d' % i for i in range(1, self.s.randint(8, 16))]
            self.timers = {n: [] for n in self.names}
        if 'share' in self.also:
            self.shared = ['p%d' % i for i in (7, 8)][:self.s.randint(1, 2)]
        self.kinds = (['watch_read'] * 3 + ['watch_write', 'pause', 'feed']
                      if 'share' in self.also else [])
        self.kinds += ['stop'] if 'storm' in self.also else []
        self.kinds += ['slice'] * 2 if 'nested' in self.also else []
        self.kinds += ['option'] * 2 if 'options' in self.also else []
        if 'nested' in self.also:
            self.on -= set(CALM)

    def parent_of(self, i):
        if 'deep' in self.also and self.s.random() < .85:
            return self.names[i - 1]
        return super().parent_of(i)

    def op(self, me, where):
        if self.kinds and self.s.random() < SHARE:
            kind = self.s.choice(self.kinds)
            if kind != 'slice' or where in gen.EVENTS:
                return getattr(self, kind)(me, where)
        return super().op(me, where)

    def watcher(self, verb, prefix, work, me, where):
        """watch; after some events, or some time, no more"""
        self.xn += 1
        s, p, e = self.s, self.s.choice(self.shared), '%s%d' % (prefix, self.xn)
        off = {'op': verb, 'p': p}
        steps = [self.some(work, p, me, e) for _ in range(s.randint(0, 3))]
        self.extra[e] = steps + [[dict(off)], [dict(off)], [dict(off)]]
        late = 'l%d' % self.xn
        self.extra[late] = [[dict(off)]]
        ops = [self.a({'op': verb, 'p': p, 'ev': e})]
        if s.random() < .3:
            self.extra[e + 'x'] = [[dict(off)], [dict(off)]]
            again = self.a({'op': verb, 'p': p, 'ev': e + 'x'})
            ops.append(again)
        ops.append({'op': 'delay_add', 'ev': late, 'ms': self.ms() + 200})
        return ops

    def some(self, work, p, me, where):
        ops = [dict(work, p=p)] if work and self.s.random() < .5 else []
        return ops + ([self.one(me, where)] if self.s.random() < .6 else [])

    def watch_read(self, me, where):
        work = {'op': 'pread', 'n': self.s.randint(1, 3)}
        ops = self.watcher('select_read', 'h', work, me, where)
        if self.s.random() < .6:
            ops.append(self.feed(me, where))
        return ops

    def watch_write(self, me, where):
        return self.watcher('select_write', 'k', None, me, where)

    def pause(self, me, where):
        verb = self.s.choice(['pause_read', 'resume_read', 'pause_read',
                              'resume_read', 'pause_write', 'resume_write'])
        return {'op': verb, 'p': self.s.choice(self.shared)}

    def feed(self, me, where):
        return {'op': 'pwrite', 'p': self.s.choice(self.shared),
                'n': self.s.randint(1, 4)}

    def stop(self, me, where):
        return {'op': 'kstop'}

    def slice(self, me, where):
        return {'op': 'slice'}

    def option(self, me, where):
        s = self.s
        op = {'op': 'option',
              'name': s.choice(['trace', 'debug', 'default', 'mine', 'yours'])}
        if s.random() < .7:
            op['set'] = True
            values = [1, 0, 'on', 'off', 'yes', 'no', None]
            if op['name'] != 'trace':  # here it may also name topics
                values += ['x', 7]
            op['val'] = s.choice(values)
        return op

    def build(self):
        made = super().build()
        if 'share' in self.also:
            made['pipes'] = made.get('pipes', []) + self.shared
        if 'slices' in self.also and 'runs' not in made:
            made['slices'] = True
        if 'options' in self.also:
            for session in made['sessions'].values():
                if self.s.random() < .3:
                    session['options'] = {
                        self.s.choice(['trace', 'default', 'mine']):
                        self.s.choice([1, 0, 'on'])}
        return made


def scenario(seed):
    return More(seed).build()


if __name__ == '__main__':
    sys.stdout.write(gen.dump(scenario(int(sys.argv[1]))))
