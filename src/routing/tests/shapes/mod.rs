//! Nearly every bug that operators report of existing routers has one of five shapes (design §6). Each file plays the reported
//! cases of its shape; D1, D2… are their numbers in the list of reports.

mod a_polled_loop_whose_head_blocks;
mod check_then_act_on_a_counter;
mod presence_by_block_list_or_by_device;
mod several_writers_of_one_owner_field;
mod start_up_code_that_overwrites_live_state;
