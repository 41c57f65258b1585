import { expect, it } from 'vitest';
import { lastWords } from './last-words.ts';

it.each([
  ['nothing', null, undefined],
  ['no error', ['{"level":"info","msg":"serving"}', 'I1124 19:32:47.7 1 a.go:1] serving'], undefined],
  [
    'etcd, by its last error',
    [
      '{"level":"error","msg":"writing data failed"}',
      '{"level":"fatal","msg":"failed to commit tx","error":"write /var/lib/etcd/db: no space left on device","stacktrace":"…"}',
      '{"level":"info","msg":"closed"}',
    ],
    'failed to commit tx: write /var/lib/etcd/db: no space left on device',
  ],
  [
    'klog',
    [
      'E1124 19:32:47.791013   19447 run.go:72] "command failed" err="leaderelection lost"',
      'goroutine 1 [running]:',
    ],
    '"command failed" err="leaderelection lost"',
  ],
  [
    'a panic',
    ['panic: runtime error: index out of range', '', 'goroutine 1 [running]:'],
    'panic: runtime error: index out of range',
  ],
  [
    'a program without its libraries',
    ['/x/haproxy: error while loading shared libraries: liblua5.3.so.0: cannot open shared object file'],
    '/x/haproxy: error while loading shared libraries: liblua5.3.so.0: cannot open shared object file',
  ],
  ['what is no JSON after all', ['{not JSON', 'Error: listen EADDRINUSE'], 'Error: listen EADDRINUSE'],
  ['a very long one', [`error: ${'x'.repeat(1000)}`], `error: ${'x'.repeat(293)}`],
])('%s', (_name, logTail, expected) => {
  expect(lastWords(logTail)).toBe(expected);
});
