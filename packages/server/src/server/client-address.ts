import { BlockList, isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { socketAddress } from '../transports/client-info.ts';

/** Hops that are looked at, from the right; proxies beyond are not ours. */
const MAX_HOPS = 16;
/** Characters of the header that are looked at, from the right. */
const MAX_HEADER = 1_024;

/** One network as `10.0.0.0/8` or an address; null where it is neither. */
export function parseNetwork(text: string): { readonly address: string; readonly prefix: number } | null {
  const [address = '', prefix, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return null;
  const widest = family === 4 ? 32 : 128;
  if (prefix === undefined) return { address, prefix: widest };
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= widest ? { address, prefix: Number(prefix) } : null;
}

/**
 * Whose connection a request is, for limits only. Behind trusted proxies that is the last address in X-Forwarded-For that is not one of them: each proxy
 * appends who asked it, so everything left of the first address that is not ours may be the client's invention.
 */
export function clientAddresses(trusted: readonly string[]): (req: IncomingMessage) => string {
  const networks = trusted.map(parseNetwork).filter((network) => network !== null);
  if (networks.length === 0) return socketAddress;
  const proxies = new BlockList();
  for (const { address, prefix } of networks) proxies.addSubnet(address, prefix, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  const isProxy = (address: string): boolean => proxies.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return (req) => {
    let client = unmapped(socketAddress(req));
    const header = req.headers['x-forwarded-for'];
    if (typeof header !== 'string' || isIP(client) === 0) return client;
    const hops = header.slice(-MAX_HEADER).split(',').slice(-MAX_HOPS);
    while (isProxy(client)) {
      const hop = unmapped(hops.pop()?.trim() ?? '');
      if (isIP(hop) === 0) break;
      client = hop;
    }
    return client;
  };
}

/** An IPv4 address as a dual-stack socket shows it. */
function unmapped(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
