export { splice } from './splice.ts';
export { WebSocketDuplex } from './websocket-duplex.ts';
