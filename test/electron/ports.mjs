// Electron's ports for tests, in the main process and in the processes that stand for utility processes: pairs of ends within a process, and a relay that
// carries them between processes. What Electron does not deliver is not delivered here either (verified with Electron 22): a message with a Blob, a port inside,
// or a transferred buffer arrives as null.
import { EventEmitter } from 'node:events';
import { deserialize, serialize } from 'node:v8';

/** As Electron copies data between processes. */
export function copy(data, transfer = []) {
  if (transfer.some((one) => !(one instanceof Port) && !isDomPort(one))) return null;
  try {
    return deserialize(serialize(data));
  } catch {
    return null;
  }
}

const isDomPort = (value) => value?.constructor?.name === 'MessagePort';

/** An end with the methods of MessagePortMain and those of the DOM's MessagePort. */
export class Port extends EventEmitter {
  #peer;
  #waiting = [];
  #started = false;
  #closed = false;

  static pair() {
    const a = new Port();
    const b = new Port();
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  /** A DOM port, as an end of this kind. */
  static adopt(port) {
    if (port instanceof Port) return port;
    const [own, other] = Port.pair();
    own.on('message', ({ data }) => port.postMessage(data));
    own.on('close', () => port.close());
    port.onmessage = ({ data }) => own.postMessage(data);
    port.unref?.();
    own.start();
    return other;
  }

  postMessage(data, transfer = []) {
    if (this.#closed) return;
    const ports = [...transfer].filter((one) => one instanceof Port || isDomPort(one)).map(Port.adopt);
    const sent = { data: copy(data, transfer), ports };
    setImmediate(() => this.#peer.#receive(sent));
  }

  start() {
    this.#started = true;
    for (const sent of this.#waiting.splice(0)) this.emit('message', sent);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    const peer = this.#peer;
    setImmediate(() => {
      if (peer.#closed) return;
      peer.#closed = true;
      peer.emit('close');
    });
  }

  set onmessage(listener) {
    this.on('message', listener);
    this.start();
  }

  #receive(sent) {
    if (this.#closed) return;
    if (this.#started) this.emit('message', sent);
    else this.#waiting.push(sent);
  }
}

/** Carries messages and ports over one channel between two processes. */
export class Relay {
  #send;
  #prefix;
  #ends = new Map();
  #next = 1;
  #receive;

  /** `receive` is called with messages to the process itself. */
  constructor(prefix, send, receive) {
    this.#prefix = prefix;
    this.#send = send;
    this.#receive = receive;
  }

  post(data, ports = []) {
    this.#send({ to: 'process', data: copy(data, ports), ports: ports.map((port) => this.#give(port)) });
  }

  take({ to, data, ports, close }) {
    if (close !== undefined) {
      this.#ends.get(close)?.close();
      this.#ends.delete(close);
      return;
    }
    const taken = ports.map((id) => {
      const [own, other] = Port.pair();
      this.#hold(id, own);
      return other;
    });
    if (to === 'process') this.#receive({ data, ports: taken });
    else this.#ends.get(to)?.postMessage(data, taken);
  }

  /** The other process is gone. */
  end() {
    for (const end of this.#ends.values()) end.close();
  }

  #give(port) {
    const id = `${this.#prefix}${this.#next++}`;
    this.#hold(id, port);
    return id;
  }

  #hold(id, end) {
    this.#ends.set(id, end);
    end.on('message', ({ data, ports }) => this.#send({ to: id, data, ports: ports.map((port) => this.#give(port)) }));
    end.on('close', () => this.#send({ close: id }));
    end.start();
  }
}
