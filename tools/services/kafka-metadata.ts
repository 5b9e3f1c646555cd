import { connect } from 'node:net';

const ANSWER_MS = 5000;
const [METADATA, VERSION] = [3, 4];

/**
 * The ids of the brokers that the one on this port knows to be alive, by a Metadata request (version 4, no topics). A broker is listed
 * once the controller has unfenced it, so this tells more than an open port does.
 */
export function aliveBrokers(port: number): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`the broker on port ${port} does not answer`)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`the broker on port ${port} closed the connection`)));
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < 4 || bytes.length < 4 + bytes.readInt32BE(0)) return;
      resolve(brokerIds(bytes));
      socket.destroy();
    });
    socket.write(request());
  });
}

function request(): Buffer {
  const clientId = 'millrace-services';
  const bytes = Buffer.alloc(4 + 8 + 2 + clientId.length + 4 + 1);
  bytes.writeInt32BE(bytes.length - 4, 0);
  bytes.writeInt16BE(METADATA, 4);
  bytes.writeInt16BE(VERSION, 6);
  bytes.writeInt16BE(clientId.length, 12);
  bytes.write(clientId, 14, 'latin1');
  // An empty list of topics, where null would mean all; and none is made.
  return bytes;
}

/** Size, correlation id and throttle time come first, 12 bytes; each broker is id, host, port, rack. */
function brokerIds(bytes: Buffer): readonly number[] {
  const ids: number[] = [];
  let at = 16;
  for (let left = bytes.readInt32BE(12); left > 0; left -= 1) {
    ids.push(bytes.readInt32BE(at));
    at += 4 + 2 + bytes.readInt16BE(at + 4) + 4;
    at += 2 + Math.max(0, bytes.readInt16BE(at));
  }
  return ids;
}
