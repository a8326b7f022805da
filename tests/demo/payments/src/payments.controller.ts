import { BadRequestException, Body, Controller, Post } from '@nestjs/common';
import { RateLimit } from 'tidegate/nest';
import { Fault } from './fault';
import { Store } from './store';

@Controller('payments')
export class PaymentsController {
  constructor(
    private readonly store: Store,
    private readonly fault: Fault,
  ) {}

  /** Twice what the store takes: a caller gone wild gets a 429 here before it fills the store's line. */
  @Post()
  @RateLimit('1000/s', { name: 'payments' })
  async pay(@Body() order: { id?: unknown; cents?: unknown }) {
    if (typeof order?.id !== 'string' || typeof order.cents !== 'number') {
      throw new BadRequestException('id: string and cents: number are needed');
    }
    this.fault.check();
    await this.store.pay(order.id, order.cents);
    // Broken between commit and answer: the caller sees a 500 for an order that is paid, and will retry it.
    this.fault.check();
    return { id: order.id, paid: true };
  }
}
