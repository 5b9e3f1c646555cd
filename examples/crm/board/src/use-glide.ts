import { type RefObject, useLayoutEffect, useRef } from 'react';

const GLIDE_MS = 420;
const EASING = 'cubic-bezier(0.2, 0.8, 0.2, 1)';

/**
 * Lets cards glide from where they were to where they are now, and keeps the focus on a card that moved to another column
 * (there it is a new element, and the focus would be lost).
 */
export function useGlide(container: RefObject<HTMLElement | null>, focusable: string | null): void {
  const places = useRef(new Map<string, DOMRect>());
  const focused = useRef<string | null>(null);
  useLayoutEffect(() => {
    const element = container.current;
    if (!element) return undefined;
    const note = (event: FocusEvent): void => {
      focused.current = (event.target as HTMLElement).closest<HTMLElement>('[data-deal]')?.dataset['deal'] ?? null;
    };
    const forget = (event: FocusEvent): void => {
      // Without a new target the element itself went away: that is the case to mend.
      if (event.relatedTarget) focused.current = null;
    };
    const leave = (): void => void (focused.current = null);
    element.addEventListener('focusin', note);
    element.addEventListener('focusout', forget);
    document.addEventListener('pointerdown', leave, true);
    return () => {
      element.removeEventListener('focusin', note);
      element.removeEventListener('focusout', forget);
      document.removeEventListener('pointerdown', leave, true);
    };
  }, [container]);

  useLayoutEffect(() => {
    const element = container.current;
    if (!element) return;
    const cards = [...element.querySelectorAll<HTMLElement>('[data-deal]')];
    const now = new Map(cards.map((card) => [card.dataset['deal'] ?? '', card.getBoundingClientRect()]));
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) {
      for (const card of cards) glide(card, places.current.get(card.dataset['deal'] ?? ''), now.get(card.dataset['deal'] ?? ''));
    }
    places.current = now;
    const id = focused.current;
    if (id === null || document.activeElement !== document.body) return;
    const again = now.has(id) ? id : focusable;
    element.querySelector<HTMLElement>(`[data-deal="${CSS.escape(again ?? '')}"] .grip`)?.focus({ preventScroll: true });
  });
}

function glide(card: HTMLElement, from: DOMRect | undefined, to: DOMRect | undefined): void {
  if (!to) return;
  if (!from) {
    card.animate(
      [
        { opacity: 0, transform: 'scale(0.94)' },
        { opacity: 1, transform: 'none' },
      ],
      { duration: GLIDE_MS, easing: 'ease-out' },
    );
    return;
  }
  const [x, y] = [from.left - to.left, from.top - to.top];
  if (Math.abs(x) < 1 && Math.abs(y) < 1) return;
  if (Math.abs(x) > 20) return flyOver(card, to, x, y);
  card.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: 'none' }], { duration: GLIDE_MS, easing: EASING });
}

/** From column to column: a copy above everything flies, because a column cuts off what leaves it. */
function flyOver(card: HTMLElement, to: DOMRect, x: number, y: number): void {
  const copy = card.cloneNode(true) as HTMLElement;
  delete copy.dataset['deal'];
  copy.inert = true;
  copy.setAttribute('aria-hidden', 'true');
  Object.assign(copy.style, { position: 'fixed', left: `${to.left}px`, top: `${to.top}px`, width: `${to.width}px`, zIndex: '4' });
  document.body.append(copy);
  const options = { duration: GLIDE_MS, easing: EASING };
  card.animate([{ opacity: 0 }, { opacity: 0 }], options);
  copy.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: 'none' }], options).onfinish = () => copy.remove();
}
