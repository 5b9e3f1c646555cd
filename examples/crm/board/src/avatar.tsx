import type { CSSProperties } from 'react';
import { hue, initials } from './format.ts';

/** Decoration: the name stands beside it, or in the label of what contains it. */
export function Avatar({ name }: { readonly name: string | null }) {
  const style = { '--hue': name ? hue(name) : 0 } as CSSProperties;
  return (
    <span className={name ? 'avatar' : 'avatar nobody'} style={style} aria-hidden="true" title={name ?? 'nobody'}>
      {name ? initials(name) : '–'}
    </span>
  );
}
