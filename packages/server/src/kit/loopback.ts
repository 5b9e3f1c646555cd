/**
 * Whether a host, as it stands in a URL or in the configuration, is this machine and no stranger can make it lead elsewhere: 127.0.0.0/8,
 * ::1 with or without brackets, `localhost` and the names under it (RFC 6761, 6.3).
 */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name);
}
