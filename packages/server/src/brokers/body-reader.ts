import type { IncomingMessage } from 'node:http';
import { gunzip } from 'node:zlib';
import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { brokersErrors } from './errors.ts';

export type BodyBounds = {
  /** Bytes on the wire, and bytes after inflation. */
  readonly maxBodyBytes: number;
  /** Bytes of all bodies held at once. */
  readonly maxInFlightBytes: number;
  /** Ms from the headers to the end of the body. */
  readonly bodyTimeoutMs: number;
};

/** What one request holds of the bound on bytes in flight. */
export interface Hold {
  release(): void;
}

/**
 * Reads bodies within the bounds of one and of all together. The bound is enforced while they arrive; the rest is never read.
 * More than `readBody` of the kit, which the other rooms read with: producers send many large bodies at once, compressed.
 */
export class BodyReader {
  readonly #bounds: BodyBounds;
  readonly #clock: Clock;
  #inFlight = 0;
  onInFlight: (bytes: number) => void = () => {};

  constructor(bounds: BodyBounds, clock: Clock) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Rejects with INGEST_BODY_TOO_LARGE, INGEST_BUSY, INGEST_ENCODING, INGEST_BODY_CUT; then nothing is held.
   * Otherwise the caller releases `hold` once the body is no longer needed.
   */
  async read(req: IncomingMessage): Promise<{ readonly bytes: Uint8Array; readonly hold: Hold }> {
    const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
    if (encoding !== 'identity' && encoding !== 'gzip' && encoding !== 'x-gzip') {
      throw new MillraceError(brokersErrors.INGEST_ENCODING, 'the content encoding is not known: send gzip or none');
    }
    const meter = this.#meter();
    try {
      const bytes = await this.#collect(req, meter);
      return { bytes: encoding === 'identity' ? bytes : await this.#inflate(bytes, meter), hold: meter };
    } catch (thrown) {
      meter.release();
      throw thrown;
    }
  }

  #meter(): Hold & { add(bytes: number): void } {
    let held = 0;
    const change = (by: number): void => {
      held += by;
      this.#inFlight += by;
      this.onInFlight(this.#inFlight);
    };
    return {
      add: (bytes) => {
        if (this.#inFlight + bytes > this.#bounds.maxInFlightBytes && this.#inFlight > 0) {
          throw new MillraceError(brokersErrors.INGEST_BUSY, `bodies being read hold ${this.#inFlight} bytes: send again later`);
        }
        change(bytes);
      },
      release: () => change(-held),
    };
  }

  #collect(req: IncomingMessage, meter: { add(bytes: number): void }): Promise<Uint8Array> {
    const declared = Number(req.headers['content-length'] ?? 0);
    if (declared > this.#bounds.maxBodyBytes) return Promise.reject(this.#tooLarge());
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const settle = (finish: () => void): void => {
        timer.cancel();
        req.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut);
        req.pause();
        finish();
      };
      const onData = (chunk: Buffer): void => {
        size += chunk.length;
        try {
          if (size > this.#bounds.maxBodyBytes) throw this.#tooLarge();
          meter.add(chunk.length);
          chunks.push(chunk);
        } catch (thrown) {
          settle(() => reject(thrown));
        }
      };
      const onEnd = (): void => settle(() => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)));
      const onCut = (): void =>
        settle(() => reject(new MillraceError(brokersErrors.INGEST_BODY_CUT, 'the body ended before it was whole')));
      const timer = this.#clock.after(this.#bounds.bodyTimeoutMs, () =>
        settle(() =>
          reject(new MillraceError(brokersErrors.INGEST_BODY_CUT, `the body was not whole after ${this.#bounds.bodyTimeoutMs} ms`)),
        ),
      );
      req.on('data', onData).on('end', onEnd).on('error', onCut).on('close', onCut);
    });
  }

  async #inflate(bytes: Uint8Array, meter: { add(bytes: number): void }): Promise<Uint8Array> {
    const inflated = await new Promise<Uint8Array>((resolve, reject) => {
      gunzip(bytes, { maxOutputLength: this.#bounds.maxBodyBytes }, (error, result) =>
        error ? reject(this.#inflateError(error)) : resolve(result),
      );
    });
    meter.add(inflated.length);
    return inflated;
  }

  #inflateError(error: Error & { code?: string }): MillraceError {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') return this.#tooLarge();
    return new MillraceError(brokersErrors.INGEST_ENCODING, 'the body is not the gzip data that content-encoding says');
  }

  #tooLarge(): MillraceError {
    const { maxBodyBytes } = this.#bounds;
    return new MillraceError(brokersErrors.INGEST_BODY_TOO_LARGE, `the body is larger than ${maxBodyBytes} bytes: send smaller batches`, {
      maxBodyBytes,
    });
  }
}
