import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { Fault } from './fault';

/** For the demo's hand, not for callers. */
@Controller()
export class ControlController {
  constructor(private readonly fault: Fault) {}

  @Post('fault')
  @HttpCode(200)
  set(@Body() body: { on: boolean }) {
    this.fault.on = body.on;
    return { on: this.fault.on };
  }

  @Get('healthz')
  healthz() {
    return { ok: true };
  }
}
