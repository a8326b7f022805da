import { Module } from '@nestjs/common';
import { TidegateModule } from 'tidegate/nest';
import { ControlController } from './control.controller';
import { Fault } from './fault';
import { PaymentsController } from './payments.controller';
import { Store } from './store';

@Module({
  // The demo's first sale runs without tidegate, here as well.
  imports: [TidegateModule.forRoot({ guard: process.env.PROTECTED === 'yes' })],
  controllers: [PaymentsController, ControlController],
  providers: [Store, Fault],
})
export class AppModule {}
