/**
 * What `cni.ts` measures, from inside the host's network namespace, so that nothing but the plugin is in the figures:
 * ADD and DEL by ours and by the reference plugin in turn. Prints `{ [name]: { add, del } }` in milliseconds.
 */
import { run } from '../../apps/cni/src/run.ts';

export interface Contender {
  name: string;
  program: string;
  config: object;
  env: Record<string, string>;
}

export type Samples = Record<string, { add: number[]; del: number[] }>;

async function call(command: string, { program, config, env }: Contender): Promise<number> {
  const begun = performance.now();
  const { code, stdout, stderr } = await run(program, [], {
    input: JSON.stringify(config),
    env: {
      PATH: process.env.PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'bench',
      CNI_IFNAME: 'eth0',
      ...env,
    },
  });
  if (code !== 0) throw new Error(`${command} by ${program}: ${stdout}${stderr}`);
  return performance.now() - begun;
}

const { contenders, runs } = JSON.parse(process.argv[2]!) as { contenders: Contender[]; runs: number };
const samples: Samples = Object.fromEntries(contenders.map(({ name }) => [name, { add: [], del: [] }]));
for (let i = -2; i < runs; i++) {
  for (const contender of contenders) {
    const add = await call('ADD', contender);
    const del = await call('DEL', contender);
    // The first rounds read programs from disk.
    if (i < 0) continue;
    samples[contender.name]!.add.push(add);
    samples[contender.name]!.del.push(del);
  }
}
process.stdout.write(JSON.stringify(samples));
