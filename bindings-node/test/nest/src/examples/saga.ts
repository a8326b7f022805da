// A saga: pay, then take the goods. Where the goods cannot be had, because they are gone or because inventory's circuit
// is open, the payment is undone; a refund that fails now is made later, and never twice. A reservation whose order is
// never confirmed expires at the inventory by itself.
import {
  Body,
  ConflictException,
  Controller,
  Inject,
  Injectable,
  Post,
  ServiceUnavailableException,
} from '@nestjs/common';
import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import { BoundedQueue, CircuitBreaker, QueueClosedError, RetryPolicy } from 'tidegate';
import { type GuardedFetch, guardedFetch } from 'tidegate/fetch';
import { CircuitBreaker as Guarded, InjectBoundedQueue, InjectBreaker } from 'tidegate/nest';

export const SERVICES = Symbol('the addresses of payment and inventory');
interface Services {
  payment: string;
  inventory: string;
}
interface Order {
  id: string;
  item: string;
}

@Injectable()
export class Inventory {
  constructor(@Inject(SERVICES) private readonly services: Services) {}

  /** @throws CircuitOpenError, or what fetch throws; the goods are not reserved then */
  @Guarded('inventory')
  async reserve({ id, item }: Order): Promise<boolean> {
    const url = `${this.services.inventory}/reservations/${id}`;
    const answer = await fetch(url, { method: 'PUT', body: item, signal: AbortSignal.timeout(5000) });
    await answer.text();
    if (answer.status >= 500) throw new Error(`inventory answered ${answer.status}`);
    return answer.ok;
  }
}

@Injectable()
export class Orders implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #payment: GuardedFetch;
  #worker = Promise.resolve();

  constructor(
    @Inject(SERVICES) private readonly services: Services,
    @Inject(Inventory) private readonly inventory: Inventory,
    @InjectBreaker('payment') private readonly breaker: CircuitBreaker,
    @InjectBoundedQueue('refunds') private readonly refunds: BoundedQueue<Order>,
  ) {
    this.#payment = guardedFetch({ breaker, retry: new RetryPolicy({ attempts: 3, baseMs: 5 }) });
  }

  async place(order: Order) {
    const paid = await this.#call('PUT', `charges/${order.id}`).catch(() => false);
    if (!paid) {
      // It may have taken the money all the same. To undo what never was does nothing.
      await this.#refund(order);
      throw new ServiceUnavailableException('the payment failed; nothing was ordered');
    }
    let reserved = false;
    try {
      reserved = await this.inventory.reserve(order);
    } catch (error) {
      await this.#refund(order);
      throw error;
    }
    if (!reserved) {
      await this.#refund(order);
      throw new ConflictException(`${order.item} is sold out; the payment was returned`);
    }
    return { status: 'ordered' };
  }

  /** PUT, so that asking again pays nothing again: the retries are the policy's. */
  async #call(method: 'PUT' | 'DELETE', path: string): Promise<boolean> {
    const answer = await this.#payment(`${this.services.payment}/${path}`, {
      method,
      signal: AbortSignal.timeout(5000),
    });
    await answer.text();
    return answer.ok;
  }

  async #refund(order: Order) {
    const done = await this.#call('DELETE', `charges/${order.id}`).catch(() => false);
    if (!done) await this.refunds.push(order);
  }

  onApplicationBootstrap() {
    this.#worker = this.#work();
  }

  async #work() {
    for (;;) {
      let order: Order;
      try {
        order = await this.refunds.pop();
      } catch (error) {
        if (error instanceof QueueClosedError) return;
        throw error;
      }
      while (!(await this.#call('DELETE', `charges/${order.id}`).catch(() => false))) {
        await new Promise((resolve) => setTimeout(resolve, Math.min(this.breaker.retryAfterMs, 1000) + 10));
      }
    }
  }

  async onModuleDestroy() {
    this.refunds.close();
    await this.#worker;
  }
}

@Controller('orders')
export class OrdersController {
  constructor(@Inject(Orders) private readonly orders: Orders) {}

  @Post()
  place(@Body() order: Order) {
    return this.orders.place(order);
  }
}
