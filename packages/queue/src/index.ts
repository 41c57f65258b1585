export { type QueueConnection, queueSchema } from './backends.ts';
export { createQueue, type Queue } from './queue.ts';
export { type Handlers, startWorkers, type Workers, type WorkersOptions } from './workers.ts';
