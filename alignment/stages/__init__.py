"""The training stages, one file each: pretrain, sft, reward, dpo, kto, rloo, ppo."""
